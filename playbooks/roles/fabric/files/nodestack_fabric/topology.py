"""How each GPU reaches each other one: the matrix of `nvidia-smi topo -m`, read by the names in its header."""

import re

from nodestack_fabric import NotUnderstood
from nodestack_fabric.entries import REPLACE, Entry, Fault, compared
from nodestack_fabric.expected import Expected

REMEDY = f"{REPLACE}, its GPUs must reach each other over NVLink"
_ESCAPE = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
_AFFINITY = r"CPU Affinity|NUMA Affinity|GPU NUMA ID|GPU Numa ID"
# Names may be glued together by a missing tab; older drivers call network cards by the names of their devices.
_HEADER = re.compile(rf"{_AFFINITY}|GPU\d+|NIC\d+|[a-z][a-z0-9]*(?:_[a-z0-9]+)+")
# A number that runs into the affinity column could be read in two ways, so it is not read at all.
_CELL = re.compile(r"\s*(X(?![A-Z])|NV\d{1,2}(?![\d,-])|PIX|PXB|PHB|NODE|SYS)")

Paths = dict[str, dict[str, str]]
"""How a GPU reaches each other device, by their names."""


def read(text: str) -> Paths:
    """Return the path between every two GPUs.

    Raises:
        NotUnderstood: The matrix is not whole, or can be read in more than one way.
    """
    lines = [line for line in _ESCAPE.sub("", text).splitlines() if line.strip()]
    header = lines[0] if lines else ""
    columns = _HEADER.findall(header)
    devices = [column for column in columns if not re.fullmatch(_AFFINITY, column)]
    if _HEADER.sub("", header).strip() or columns[: len(devices)] != devices or len(set(columns)) != len(columns):
        raise NotUnderstood(f"the header {' '.join(header.split())[:200]!r}")
    paths: Paths = {}
    for line in lines[1:]:
        label = re.match(r"\s*(GPU\d+)(?!\d)", line)
        if label is None:
            continue
        if label[1] in paths or label[1] not in devices:
            raise NotUnderstood(f"the row of {label[1]}")
        paths[label[1]] = dict(zip(devices, _cells(line, label.end(), len(devices)), strict=True))
    if list(paths) != [device for device in devices if device.startswith("GPU")]:
        raise NotUnderstood(f"rows of {', '.join(paths) or 'no GPU'} below {' '.join(devices)[:200]}")
    return paths


def _cells(line: str, start: int, count: int) -> list[str]:
    """Return exactly so many cells of a row; what follows may only be affinities."""
    cells: list[str] = []
    end = start
    while (cell := _CELL.match(line, end)) is not None:
        cells.append(cell[1])
        end = cell.end()
    if len(cells) != count:
        raise NotUnderstood(f"{len(cells)} instead of {count} columns in {' '.join(line.split())[:200]!r}")
    return cells


def judge(text: str, count: int, expected: Expected) -> list[Entry]:
    """Judge every pair: all links through the switches, or any NVLink on a board without switches.

    Raises:
        NotUnderstood: The matrix cannot be read, or is that of other GPUs.
    """
    paths = read(text)
    names = [f"GPU{number}" for number in range(count)]
    if list(paths) != names:
        raise NotUnderstood(f"rows of {', '.join(paths) or 'no GPU'} for {len(names)} GPUs")
    wanted = f"NV{expected.nvlinks_per_gpu}" if expected.nvswitch else "NV#"
    faults: list[Fault] = []
    for place, one in enumerate(names):
        if paths[one][one] != "X":
            raise NotUnderstood(f"{one} reaches itself by {paths[one][one]}")
        for other in names[place + 1 :]:
            there, back = paths[one][other], paths[other][one]
            seen = there if there == back else f"{there} there and {back} back"
            if seen != wanted and not (wanted == "NV#" and re.fullmatch(r"NV[1-9]\d*", seen)):
                faults.append((f"{one}-{other}", seen))
    return compared("topology", wanted, faults, REMEDY)
