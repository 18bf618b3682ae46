"""Judges what nvidia-smi and the kernel's log say; pure text in, entries of the verdict out."""

import csv
import re
from collections.abc import Callable, Iterable, Sequence
from typing import TypedDict

GPU_FIELDS = ("index", "name", "uuid", "memory.total", "ecc.mode.current", "ecc.errors.uncorrected.volatile.total")
ROW_FIELDS = ("gpu_uuid", "remapped_rows.pending", "remapped_rows.failure")
FABRIC_FIELDS = ("index", "fabric.state", "fabric.status")
REPLACE = "ask the provider to replace the node"
NVLINK_REMEDY = f"{REPLACE}, its GPUs must reach each other over NVLink"
LINK_REMEDY = f"{REPLACE}, an NVLink did not train"
FABRIC_REMEDY = "check that nvidia-fabricmanager runs and equals the driver, reboot once, then " + REPLACE
ECC_REMEDY = "ask the provider to reset or replace this GPU"
HEADER = re.compile(r"CPU Affinity|NUMA Affinity|GPU NUMA ID|GPU\d+|NIC\d+|mlx\d+_\d+")
# A number that runs into the affinity column could be read in two ways, so it is not read at all.
CELL = re.compile(r"\s*(X(?![A-Z])|NV\d{1,2}(?![\d-])|PIX|PXB|PHB|NODE|SYS)")
XID = re.compile(r"NVRM: Xid \(PCI:([0-9a-fA-F:.]+)\): (\d+),")

Row = dict[str, str]
"""A line of nvidia-smi's CSV, by the names of its fields."""
Fault = tuple[str, str]
"""Which part of the node shows it, and what was seen there."""
FabricState = tuple[str, str, str]
"""A GPU, and state and status of its registration with the fabric."""
# One key is a keyword of Python, so it cannot be a class.
Entry = TypedDict("Entry", {"check": str, "expected": str, "seen": str, "pass": bool, "remedy": str})
"""What one check found: a line of the verdict."""


class Expected(TypedDict):
    """What the node must be, as the role writes it down."""

    gpu_count: int
    gpu_name: str
    gpu_memory_mib: int
    nvlinks_per_gpu: int
    nvlink_speed_gb_s: float
    nvswitch: bool
    wait_s: int
    harmless_xids: list[int]


class NotUnderstood(Exception):
    """What a command answered cannot be judged."""


def passed(check: str, expected: str) -> Entry:
    """Return the entry of a check that found what it expected."""
    return {"check": check, "expected": expected, "seen": expected, "pass": True, "remedy": ""}


def failed(check: str, expected: str, seen: str, remedy: str) -> Entry:
    """Return the entry of a check that found something else."""
    return {"check": check, "expected": expected, "seen": seen, "pass": False, "remedy": remedy}


def compared(check: str, expected: str, faults: Iterable[Fault], remedy: str) -> list[Entry]:
    """Return one entry where nothing is wrong, else one for each thing that was seen, with all that show it."""
    alike: dict[str, list[str]] = {}
    for subject, seen in faults:
        alike.setdefault(seen, []).append(subject)
    entries = [failed(f"{check} {', '.join(names)}", expected, seen, remedy) for seen, names in alike.items()]
    return entries or [passed(check, expected)]


def rows(text: str, fields: Sequence[str]) -> list[Row]:
    """Return nvidia-smi's CSV without header as a list of dicts."""
    found = []
    for cells in csv.reader(text.splitlines(), skipinitialspace=True):
        if len(cells) != len(fields):
            raise NotUnderstood(f"a line with {len(cells)} instead of {len(fields)} fields: {', '.join(cells)[:200]!r}")
        found.append(dict(zip(fields, (cell.strip() for cell in cells), strict=True)))
    return found


def gpu_rows(text: str) -> list[Row]:
    """Return the GPUs, which must be numbered from 0 without a gap and have UUIDs of their own."""
    gpus = rows(text, GPU_FIELDS)
    numbers = [gpu["index"] for gpu in gpus]
    if numbers != [str(number) for number in range(len(gpus))]:
        raise NotUnderstood(f"GPUs numbered {', '.join(numbers)[:200]}")
    if len({gpu["uuid"] for gpu in gpus}) != len(gpus):
        raise NotUnderstood("two GPUs with the same UUID")
    return gpus


def judge_gpus(gpus: list[Row], expected: Expected) -> list[Entry]:
    """Judge number, model and memory of the GPUs, and their ECC."""
    count, name, memory = expected["gpu_count"], expected["gpu_name"], expected["gpu_memory_mib"]
    if len(gpus) == count:
        entries = [passed("GPU count", str(count))]
    else:
        entries = [failed("GPU count", str(count), str(len(gpus)), f"{REPLACE}, a GPU is missing on the PCI bus")]

    def faults(field: str, well: Callable[[str], bool]) -> list[Fault]:
        return [(f"GPU{gpu['index']}", gpu[field]) for gpu in gpus if not well(gpu[field])]

    def enough(cell: str) -> bool:
        return cell.isascii() and cell.isdigit() and int(cell) >= memory

    entries += compared("GPU model", name, faults("name", name.__eq__), "choose the node shape that has this GPU")
    entries += compared(
        "GPU memory", f"{memory} MiB", [(gpu, f"{seen} MiB") for gpu, seen in faults("memory.total", enough)], REPLACE
    )
    entries += compared("ECC mode", "Enabled", faults("ecc.mode.current", "Enabled".__eq__), "enable ECC and reboot")
    errors = faults("ecc.errors.uncorrected.volatile.total", "0".__eq__)
    return entries + compared("ECC uncorrectable errors", "0", errors, ECC_REMEDY)


def judge_rows(text: str, gpus: list[Row]) -> list[Entry]:
    """Judge whether a row remap is pending or has failed."""
    remaps = {row["gpu_uuid"]: row for row in rows(text, ROW_FIELDS)}
    faults: dict[str, list[Fault]] = {"pending": [], "failure": []}
    for gpu in gpus:
        row = remaps.get(gpu["uuid"])
        if row is None:
            raise NotUnderstood(f"no remapped rows of GPU{gpu['index']}")
        for kind, found in faults.items():
            seen = row[f"remapped_rows.{kind}"]
            if seen not in {"No", "0"}:
                found.append((f"GPU{gpu['index']}", seen))
    pending = compared("row remap pending", "No", faults["pending"], ECC_REMEDY)
    return pending + compared("row remap failure", "No", faults["failure"], ECC_REMEDY)


def topology(text: str) -> dict[str, dict[str, str]]:
    """Return the path between every two GPUs of `nvidia-smi topo -m`, by the names in its header."""
    lines = [line for line in re.sub(r"\x1b\[[0-9;]*m", "", text).splitlines() if line.strip()]
    header = lines[0] if lines else ""
    columns = HEADER.findall(header)
    devices = [column for column in columns if not column.endswith(("Affinity", "ID"))]
    if HEADER.sub("", header).strip() or columns[: len(devices)] != devices or len(set(columns)) != len(columns):
        raise NotUnderstood(f"the header {' '.join(header.split())[:200]!r}")
    paths: dict[str, dict[str, str]] = {}
    for line in lines[1:]:
        label = re.match(r"\s*(GPU\d+)", line)
        if label is None:
            continue
        if label[1] in paths or label[1] not in devices:
            raise NotUnderstood(f"the row of {label[1]}")
        paths[label[1]] = dict(zip(devices, row_cells(line, label.end(), len(devices)), strict=True))
    if list(paths) != [device for device in devices if device.startswith("GPU")]:
        raise NotUnderstood(f"rows of {', '.join(paths) or 'no GPU'} below {' '.join(devices)[:200]}")
    return paths


def row_cells(line: str, start: int, count: int) -> list[str]:
    """Return exactly so many cells of a row; what follows may only be affinities."""
    cells: list[str] = []
    end = start
    while (cell := CELL.match(line, end)) is not None:
        cells.append(cell[1])
        end = cell.end()
    if len(cells) != count:
        raise NotUnderstood(f"{len(cells)} instead of {count} columns in {' '.join(line.split())[:200]!r}")
    return cells


def judge_topology(text: str, gpus: list[Row], expected: Expected) -> list[Entry]:
    """Judge how each GPU reaches each other one: all links through the switches, or any NVLink without switches."""
    paths = topology(text)
    names = [f"GPU{gpu['index']}" for gpu in gpus]
    if list(paths) != names:
        raise NotUnderstood(f"rows of {', '.join(paths) or 'no GPU'} for {len(names)} GPUs")
    wanted = f"NV{expected['nvlinks_per_gpu']}" if expected["nvswitch"] else "NV#"
    faults: list[Fault] = []
    for place, one in enumerate(names):
        if paths[one][one] != "X":
            raise NotUnderstood(f"{one} reaches itself by {paths[one][one]}")
        for other in names[place + 1 :]:
            there, back = paths[one][other], paths[other][one]
            seen = there if there == back else f"{there} there and {back} back"
            if seen != wanted and not (wanted == "NV#" and re.fullmatch(r"NV[1-9]\d*", seen)):
                faults.append((f"{one}-{other}", seen))
    return compared("topology", wanted, faults, NVLINK_REMEDY)


def judge_links(text: str, gpus: list[Row], expected: Expected) -> list[Entry]:
    """Judge number and speed of every GPU's NVLinks."""
    count, speed = expected["nvlinks_per_gpu"], expected["nvlink_speed_gb_s"]
    links: dict[str, dict[int, str]] = {}
    current: dict[int, str] | None = None
    for line in text.splitlines():
        heading = re.fullmatch(r"GPU (\d+): .* \(UUID: (\S+)\)\s*", line)
        link = re.fullmatch(r"\s+Link (\d+): (\d+(?:\.\d+)? GB/s|<?inactive>?)\s*", line)
        if heading is not None and heading[2] not in links:
            current = links.setdefault(heading[2], {})
        elif link is not None and current is not None and int(link[1]) not in current:
            current[int(link[1])] = link[2].strip("<>")
        elif line.strip():
            raise NotUnderstood(f"the line {' '.join(line.split())[:200]!r}")
    if list(links) != [gpu["uuid"] for gpu in gpus]:
        raise NotUnderstood(f"NVLinks of {len(links)} instead of {len(gpus)} GPUs")
    faults: list[Fault] = []
    short: list[Fault] = []
    for gpu in gpus:
        name, own = f"GPU{gpu['index']}", links[gpu["uuid"]]
        if sorted(own) != list(range(count)):
            short.append((name, str(len(own))))
        for number, seen in own.items():
            if not seen.endswith(" GB/s") or float(seen.split()[0]) < speed - 0.001:
                faults.append((f"{name} link {number}", seen))
    numbers = compared("NVLink count", str(count), short, LINK_REMEDY)
    return numbers + compared("NVLink", f"{speed:g} GB/s", faults, LINK_REMEDY)


def fabric_states(text: str) -> list[FabricState]:
    """Return state and status of every GPU's registration with the fabric."""
    return [(f"GPU{row['index']}", row["fabric.state"], row["fabric.status"]) for row in rows(text, FABRIC_FIELDS)]


def judge_fabric(states: list[FabricState], gpus: list[Row], wait_s: int) -> list[Entry]:
    """Judge the fabric after the wait for it has ended."""
    if [gpu for gpu, _, _ in states] != [f"GPU{gpu['index']}" for gpu in gpus]:
        raise NotUnderstood(f"{len(states)} instead of {len(gpus)} GPUs speak of a fabric")
    late = f" after {wait_s} s" if any(state != "Completed" for _, state, _ in states) else ""
    faults = [
        (gpu, f"{state} with {status}{late}")
        for gpu, state, status in states
        if (state, status) != ("Completed", "Success")
    ]
    if len(faults) == len(states) > 1 and len({seen for _, seen in faults}) == 1:
        faults = [("of all GPUs", faults[0][1])]
    return compared("fabric", "Completed with Success", faults, FABRIC_REMEDY)


def judge_log(text: str, expected: Expected) -> list[Entry]:
    """Judge the driver's Xid errors since boot, but for those that a program alone can cause."""
    faults: list[Fault] = []
    for line in text.splitlines():
        if "NVRM: Xid" not in line:
            continue
        xid = XID.search(line)
        if xid is None:
            raise NotUnderstood(f"the kernel's line {line[:200]!r}")
        if int(xid[2]) not in expected["harmless_xids"]:
            faults.append((f"on {xid[1]}", f"Xid {xid[2]}"))
    return compared("Xid errors", "none", list(dict.fromkeys(faults)), ECC_REMEDY)
