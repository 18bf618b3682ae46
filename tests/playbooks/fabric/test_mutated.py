"""Answers that were damaged on the way are never passed by mistake: what passes still proves the same facts.

The facts are read here by other means than the gate's: by what stands in the text, crudely.
"""

import os
import re
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nodestack_fabric.entries import all_well
from nodestack_fabric.expected import Expected
from nodestack_fabric.nvlink import COUNTED

from nodestack.clouds.local.hardware import load
from tests.playbooks.fabric.world import UPTIME_S, World, answers, expected, four_h200

# `make qualify` runs thousands.
EXAMPLES = int(os.environ.get("NODESTACK_EXAMPLES", "40"))
NODES: dict[str, Expected] = {"h100-sxm5-x8": expected(), "h200-sxm5-x4": four_h200()}
TOLD = {name: answers(load(name)) for name in NODES}
NAMES = ["gpus", "remaps", "pcie", "clocks", "fabric", "topology", "nvlink", "nvlink-errors"]
WORDS = [
    *("SYS", "PIX", "PHB", "NODE", "NV17", "NV9", "X", "<inactive>", "25.781 GB/s", "0.000 GB/s", "Disabled", "Active"),
    *(
        "In Progress",
        "Insufficient Resources",
        "N/A",
        "[N/A]",
        "[Unknown Error]",
        "ERR!",
        "Yes",
        "No",
        "0",
        "1",
        "3",
        "8",
        "-1",
    ),
    *("65247", "1e9", "P8", "x16", "NVIDIA A100-SXM4-80GB", "GPU", "NIC0", "\x1b[4m", "\r", "\x00", "\u0661", "18", ""),
]
CELLS = re.compile(r"[^\t\n,:]+")
ESCAPE = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")


def drop_line(text: str, draw: st.DataObject) -> str:
    lines = text.splitlines(keepends=True)
    del lines[draw.draw(st.integers(0, len(lines) - 1))]
    return "".join(lines)


def double_line(text: str, draw: st.DataObject) -> str:
    lines = text.splitlines(keepends=True)
    line, place = draw.draw(st.sampled_from(lines)), draw.draw(st.integers(0, len(lines)))
    return "".join([*lines[:place], line, *lines[place:]])


def swap_lines(text: str, draw: st.DataObject) -> str:
    lines = text.splitlines(keepends=True)
    one, other = (draw.draw(st.integers(0, len(lines) - 1)) for _ in range(2))
    lines[one], lines[other] = lines[other], lines[one]
    return "".join(lines)


def join_lines(text: str, draw: st.DataObject) -> str:
    lines = text.splitlines(keepends=True)
    place = draw.draw(st.integers(0, len(lines) - 1))
    lines[place] = lines[place].rstrip("\n")
    return "".join(lines)


def glue(text: str, draw: st.DataObject) -> str:
    gaps = [match.span() for match in re.finditer(r"[\t ]+|, ", text)]
    start, end = draw.draw(st.sampled_from(gaps or [(0, 0)]))
    return text[:start] + text[end:]


def change_cell(text: str, draw: st.DataObject) -> str:
    cells = [match.span() for match in CELLS.finditer(text)]
    start, end = draw.draw(st.sampled_from(cells or [(0, 0)]))
    return text[:start] + draw.draw(st.sampled_from(WORDS)) + text[end:]


def change_digit(text: str, draw: st.DataObject) -> str:
    digits = [match.start() for match in re.finditer(r"\d", text)] or [0]
    place = draw.draw(st.sampled_from(digits))
    return text[:place] + draw.draw(st.sampled_from("0123456789")) + text[place + 1 :]


def truncate(text: str, draw: st.DataObject) -> str:
    return text[: draw.draw(st.integers(0, len(text)))]


def lose_beginning(text: str, draw: st.DataObject) -> str:
    return text[draw.draw(st.integers(0, len(text))) :]


def insert(text: str, draw: st.DataObject) -> str:
    place = draw.draw(st.integers(0, len(text)))
    rubbish = draw.draw(st.sampled_from(WORDS) | st.text(max_size=8))
    return text[:place] + rubbish + text[place:]


MUTATIONS: list[Callable[[str, st.DataObject], str]] = [
    *(drop_line, double_line, swap_lines, join_lines, glue),
    *(change_cell, change_digit, truncate, lose_beginning, insert),
]


def facts(name: str, text: str, wanted: Expected) -> object:
    """Return what a text says of the things that the gate must prove; better than needed is as good as needed."""
    if name == "topology":
        rows = re.findall(r"(?m)^\s*GPU(\d+)((?:\s*(?:X|NV\d+|PIX|PXB|PHB|NODE|SYS))+)", ESCAPE.sub("", text))
        return [(gpu, re.findall(r"X|NV\d+|PIX|PXB|PHB|NODE|SYS", cells)[: wanted.gpu_count]) for gpu, cells in rows]
    if name in ("nvlink", "nvlink-errors"):
        found, current = [], ""
        for line in text.splitlines():
            if uuid := re.search(r"UUID: (\S+)\)", line):
                current = uuid[1]
            elif (link := re.search(r"Link (\d+): (?:(\D+): )?([\d.]+)", line)) and not _harmless(link[2], link[3]):
                found.append((current, int(link[1]), link[2], _clamped(link[2], link[3], wanted)))
        # In which order links are listed says nothing.
        return sorted(found, key=str)
    rows = [tuple(cell.strip() for cell in line.split(",")) for line in text.splitlines() if line.strip()]
    if name == "remaps":
        return sorted((row[0], *("No" if cell in {"No", "0"} else cell for cell in row[1:])) for row in rows)
    best = {"gpus": {3: wanted.gpu_memory_mib}, "clocks": {1: wanted.sm_clock_mhz}}.get(name, {})
    if name == "pcie":
        # A GPU at rest may lower its generation, and links may be better than they must be.
        numbers = [(row, [int(cell) for cell in row[2:6]]) for row in rows]
        return [
            (row[0], most >= 5, row[1] != "P0" or now >= most, most_lanes >= 16, lanes >= most_lanes)
            for row, (most, now, most_lanes, lanes) in numbers
        ]
    return [
        tuple(_least(cell, best[place]) if place in best else cell for place, cell in enumerate(row)) for row in rows
    ]


def _least(cell: str, needed: int) -> str:
    return str(needed) if cell.isdigit() and int(cell) >= needed else cell


def _harmless(kind: str | None, number: str) -> bool:
    """Return whether this is one more counter than those that must be there, and tells of no errors."""
    return kind is not None and kind not in COUNTED and not (kind.endswith("Errors") and number.strip("0"))


def _clamped(kind: str | None, number: str, wanted: Expected) -> str:
    if kind is None:
        return "full" if float(number) >= wanted.nvlink_speed_gb_s - 0.001 else number
    if kind == "CRC Errors" and int(number) <= wanted.crc_errors_per_s * UPTIME_S:
        return "none"
    return str(int(number)) if number.isdigit() else number


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=EXAMPLES)
@given(data=st.data())
def test_a_damaged_answer_passes_only_where_it_still_proves_the_same(name: str, data: st.DataObject) -> None:
    node = data.draw(st.sampled_from(sorted(NODES)))
    told = TOLD[node]
    text = told[name]
    for mutation in data.draw(st.lists(st.sampled_from(MUTATIONS), min_size=1, max_size=3)):
        text = mutation(text, data) if text else text
    if all_well(World({**told, name: text}).judged(NODES[node])):
        assert facts(name, text, NODES[node]) == facts(name, told[name], NODES[node])


FAULTS = [
    "NVRM: Xid (PCI:0000:c3:00): 79, pid='<unknown>', name=<unknown>, GPU has fallen off the bus.",
    "NVRM: Xid (PCI:0000:1b:00): 48, pid=1, name=x, DBE (double bit error) ECC Error",
    "NVRM: Xid (PCI:0000:1b:00): 119",
    "nvidia-nvswitch2: SXid (PCI:0000:07:00.0): 20034, Fatal, Link 48 LTSSM Fault Up",
    "NVRM: fallen off the bus and is not responding to commands.",
]


@settings(max_examples=EXAMPLES)
@given(fault=st.sampled_from(FAULTS), before=st.text(max_size=200), after=st.text(max_size=200), cut=st.integers(0, 9))
def test_a_fault_in_the_kernel_log_is_found_whatever_stands_around_it(
    fault: str, before: str, after: str, cut: int
) -> None:
    told = TOLD["h100-sxm5-x8"]
    # The end of the line may be lost, not what the fault is.
    shortened = fault[: len(fault) - cut] if cut < 9 and fault.endswith(("bus.", "Error")) and "Xid" in fault else fault
    log = f"{before}\n[ 12.5] {shortened}\n{after}"
    assert not all_well(World({**told, "kernel-log": log}).judged(NODES["h100-sxm5-x8"]))
