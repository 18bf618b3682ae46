"""Judges what nvidia-smi and the kernel's log say; pure text in, entries of the verdict out."""

import csv
import re

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


class NotUnderstood(Exception):
    """What a command answered cannot be judged."""


def passed(check, expected):
    """Return the entry of a check that found what it expected."""
    return {"check": check, "expected": expected, "seen": expected, "pass": True, "remedy": ""}


def failed(check, expected, seen, remedy):
    """Return the entry of a check that found something else."""
    return {"check": check, "expected": expected, "seen": seen, "pass": False, "remedy": remedy}


def compared(check, expected, faults, remedy):
    """Return one entry where nothing is wrong, else one for each thing that was seen, with all that show it."""
    alike = {}
    for subject, seen in faults:
        alike.setdefault(seen, []).append(subject)
    entries = [failed(f"{check} {', '.join(names)}", expected, seen, remedy) for seen, names in alike.items()]
    return entries or [passed(check, expected)]


def rows(text, fields):
    """Return nvidia-smi's CSV without header as a list of dicts."""
    found = []
    for cells in csv.reader(text.splitlines(), skipinitialspace=True):
        if len(cells) != len(fields):
            raise NotUnderstood(f"a line with {len(cells)} instead of {len(fields)} fields: {', '.join(cells)[:200]!r}")
        found.append(dict(zip(fields, (cell.strip() for cell in cells), strict=True)))
    return found


def gpu_rows(text):
    """Return the GPUs, which must be numbered from 0 without a gap and have UUIDs of their own."""
    gpus = rows(text, GPU_FIELDS)
    numbers = [gpu["index"] for gpu in gpus]
    if numbers != [str(number) for number in range(len(gpus))]:
        raise NotUnderstood(f"GPUs numbered {', '.join(numbers)[:200]}")
    if len({gpu["uuid"] for gpu in gpus}) != len(gpus):
        raise NotUnderstood("two GPUs with the same UUID")
    return gpus


def judge_gpus(gpus, expected):
    """Judge number, model and memory of the GPUs, and their ECC."""
    count, name, memory = expected["gpu_count"], expected["gpu_name"], expected["gpu_memory_mib"]
    if len(gpus) == count:
        entries = [passed("GPU count", str(count))]
    else:
        entries = [failed("GPU count", str(count), str(len(gpus)), f"{REPLACE}, a GPU is missing on the PCI bus")]

    def faults(field, well):
        return [(f"GPU{gpu['index']}", gpu[field]) for gpu in gpus if not well(gpu[field])]

    def enough(cell):
        return cell.isascii() and cell.isdigit() and int(cell) >= memory

    entries += compared("GPU model", name, faults("name", name.__eq__), "choose the node shape that has this GPU")
    entries += compared(
        "GPU memory", f"{memory} MiB", [(gpu, f"{seen} MiB") for gpu, seen in faults("memory.total", enough)], REPLACE
    )
    entries += compared("ECC mode", "Enabled", faults("ecc.mode.current", "Enabled".__eq__), "enable ECC and reboot")
    errors = faults("ecc.errors.uncorrected.volatile.total", "0".__eq__)
    return entries + compared("ECC uncorrectable errors", "0", errors, ECC_REMEDY)


def judge_rows(text, gpus):
    """Judge whether a row remap is pending or has failed."""
    remaps = {row["gpu_uuid"]: row for row in rows(text, ROW_FIELDS)}
    faults = {"pending": [], "failure": []}
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


def topology(text):
    """Return the path between every two GPUs of `nvidia-smi topo -m`, by the names in its header."""
    lines = [line for line in re.sub(r"\x1b\[[0-9;]*m", "", text).splitlines() if line.strip()]
    header = lines[0] if lines else ""
    columns = HEADER.findall(header)
    devices = [column for column in columns if not column.endswith(("Affinity", "ID"))]
    if HEADER.sub("", header).strip() or columns[: len(devices)] != devices or len(set(columns)) != len(columns):
        raise NotUnderstood(f"the header {' '.join(header.split())[:200]!r}")
    paths = {}
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


def row_cells(line, start, count):
    """Return exactly so many cells of a row; what follows may only be affinities."""
    cells, end = [], start
    while (cell := CELL.match(line, end)) is not None:
        cells.append(cell[1])
        end = cell.end()
    if len(cells) != count:
        raise NotUnderstood(f"{len(cells)} instead of {count} columns in {' '.join(line.split())[:200]!r}")
    return cells


def judge_topology(text, gpus, expected):
    """Judge how each GPU reaches each other one: all links through the switches, or any NVLink without switches."""
    paths = topology(text)
    names = [f"GPU{gpu['index']}" for gpu in gpus]
    if list(paths) != names:
        raise NotUnderstood(f"rows of {', '.join(paths) or 'no GPU'} for {len(names)} GPUs")
    wanted = f"NV{expected['nvlinks_per_gpu']}" if expected["nvswitch"] else "NV#"
    faults = []
    for place, one in enumerate(names):
        if paths[one][one] != "X":
            raise NotUnderstood(f"{one} reaches itself by {paths[one][one]}")
        for other in names[place + 1 :]:
            there, back = paths[one][other], paths[other][one]
            seen = there if there == back else f"{there} there and {back} back"
            if seen != wanted and not (wanted == "NV#" and re.fullmatch(r"NV[1-9]\d*", seen)):
                faults.append((f"{one}-{other}", seen))
    return compared("topology", wanted, faults, NVLINK_REMEDY)


def judge_links(text, gpus, expected):
    """Judge number and speed of every GPU's NVLinks."""
    count, speed = expected["nvlinks_per_gpu"], expected["nvlink_speed_gb_s"]
    links, current = {}, None
    for line in text.splitlines():
        gpu = re.fullmatch(r"GPU (\d+): .* \(UUID: (\S+)\)\s*", line)
        link = re.fullmatch(r"\s+Link (\d+): (\d+(?:\.\d+)? GB/s|<?inactive>?)\s*", line)
        if gpu is not None and gpu[2] not in links:
            current = links.setdefault(gpu[2], {})
        elif link is not None and current is not None and int(link[1]) not in current:
            current[int(link[1])] = link[2].strip("<>")
        elif line.strip():
            raise NotUnderstood(f"the line {' '.join(line.split())[:200]!r}")
    if list(links) != [gpu["uuid"] for gpu in gpus]:
        raise NotUnderstood(f"NVLinks of {len(links)} instead of {len(gpus)} GPUs")
    faults, short = [], []
    for gpu in gpus:
        name, own = f"GPU{gpu['index']}", links[gpu["uuid"]]
        if sorted(own) != list(range(count)):
            short.append((name, str(len(own))))
        for number, seen in own.items():
            if not seen.endswith(" GB/s") or float(seen.split()[0]) < speed - 0.001:
                faults.append((f"{name} link {number}", seen))
    numbers = compared("NVLink count", str(count), short, LINK_REMEDY)
    return numbers + compared("NVLink", f"{speed:g} GB/s", faults, LINK_REMEDY)


def fabric_states(text):
    """Return state and status of every GPU's registration with the fabric."""
    return [(f"GPU{row['index']}", row["fabric.state"], row["fabric.status"]) for row in rows(text, FABRIC_FIELDS)]


def judge_fabric(states, gpus, wait_s):
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


def judge_log(text, expected):
    """Judge the driver's Xid errors since boot, but for those that a program alone can cause."""
    faults = []
    for line in text.splitlines():
        if "NVRM: Xid" not in line:
            continue
        xid = XID.search(line)
        if xid is None:
            raise NotUnderstood(f"the kernel's line {line[:200]!r}")
        if int(xid[2]) not in expected["harmless_xids"]:
            faults.append((f"on {xid[1]}", f"Xid {xid[2]}"))
    return compared("Xid errors", "none", list(dict.fromkeys(faults)), ECC_REMEDY)
