"""The CSV that nvidia-smi prints for its queries, without header and units."""

import csv
from collections.abc import Callable, Sequence

from nodestack_fabric import NotUnderstood
from nodestack_fabric.entries import Fault

Row = dict[str, str]
"""A line, by the names of the fields that were asked for."""


def rows(text: str, fields: Sequence[str]) -> list[Row]:
    """Return the lines.

    Raises:
        NotUnderstood: A line has more or fewer cells than were asked for, or an empty one.
    """
    found = []
    for cells in csv.reader(text.splitlines(), skipinitialspace=True):
        if len(cells) != len(fields) or not all(cell.strip() for cell in cells):
            raise NotUnderstood(f"a line with {len(cells)} instead of {len(fields)} fields: {', '.join(cells)[:200]!r}")
        found.append(dict(zip(fields, (cell.strip() for cell in cells), strict=True)))
    return found


def of_each_gpu(text: str, fields: Sequence[str], count: int) -> list[Row]:
    """Return a line for each of so many GPUs, numbered from 0 without a gap by their first field.

    Raises:
        NotUnderstood: GPUs are missing, named twice or out of order.
    """
    found = rows(text, fields)
    numbers = [row[fields[0]] for row in found]
    if numbers != [str(number) for number in range(count)]:
        raise NotUnderstood(f"GPUs numbered {', '.join(numbers)[:200] or 'not at all'} where there are {count}")
    return found


def number(cell: str) -> int | None:
    """Return a cell's whole number, or None where there is none."""
    return int(cell) if cell.isascii() and cell.isdigit() else None


def at_least(cell: str, least: int) -> bool:
    """Return whether a cell surely holds a whole number that is not below another one."""
    seen = number(cell)
    return seen is not None and seen >= least


def misfits(found: Sequence[Row], field: str, fits: Callable[[str], bool]) -> list[Fault]:
    """Return the GPUs whose field does not fit, with what it holds."""
    return [(f"GPU{row['index']}", row[field]) for row in found if not fits(row[field])]
