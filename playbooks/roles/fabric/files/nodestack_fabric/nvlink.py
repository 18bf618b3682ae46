"""The NVLinks of each GPU: whether all are at full speed (`nvlink -s`), and their errors (`nvlink -e`)."""

import re
from collections.abc import Iterator

from nodestack_fabric import NotUnderstood
from nodestack_fabric.entries import REPLACE, Entry, Fault, compared, failed
from nodestack_fabric.expected import Expected
from nodestack_fabric.tables import Row

REMEDY = f"{REPLACE}, an NVLink did not train"
NONE_REMEDY = "order a node with whole boards: a virtual machine that is handed single GPUs gets none of their NVLinks"
ERRORS_REMEDY = "reboot; if errors come back, ask the provider to check this GPU's baseboard and NVSwitches"
_HEADING = re.compile(r"GPU (\d+): .*? ?\(UUID: (\S+)\)\s*")
_STATE = re.compile(r"\s+Link (\d+): (\d+(?:\.\d+)? GB/s|<?[Ii]n[Aa]ctive>?)\s*")
_COUNTER = re.compile(r"\s+Link (\d+): ([A-Za-z][A-Za-z /_-]*?) ?: (\d+|N/A)\s*")
_UNSUPPORTED = re.compile(r"(?i)error counters? (?:is|are) not supported|not supported on this (?:device|gpu)")
COUNTED = ("Replay Errors", "Recovery Errors", "CRC Errors")


def _sections(text: str, line_form: re.Pattern[str]) -> Iterator[tuple[str, re.Match[str]]]:
    """Return each link's line with the UUID of the GPU that it stands below; two such headings are an error."""
    seen: set[str] = set()
    current = ""
    for line in text.splitlines():
        heading, own = _HEADING.fullmatch(line), line_form.fullmatch(line)
        if heading is not None and heading[2] not in seen:
            current = heading[2]
            seen.add(current)
        elif own is not None and current:
            yield current, own
        elif line.strip():
            raise NotUnderstood(f"the line {' '.join(line.split())[:200]!r}")


def judge(text: str, gpus: list[Row], expected: Expected) -> list[Entry]:
    """Judge number and speed of every GPU's NVLinks.

    Where no GPU has any, driver 580 ends with 0 and prints nothing at all.

    Raises:
        NotUnderstood: A line cannot be read, or GPUs are missing.
    """
    count, speed = expected.nvlinks_per_gpu, expected.nvlink_speed_gb_s
    if not text.strip():
        return [failed("NVLink count", str(count), "no NVLink of any GPU", NONE_REMEDY)]
    links: dict[str, dict[int, str]] = {gpu["uuid"]: {} for gpu in gpus}
    for uuid, line in _sections(text, _STATE):
        own = links.get(uuid)
        if own is None or int(line[1]) in own:
            raise NotUnderstood(f"link {line[1]} of {uuid}")
        own[int(line[1])] = line[2].strip("<>")
    if len(_headings(text)) != len(gpus):
        raise NotUnderstood(f"NVLinks of {len(_headings(text))} instead of {len(gpus)} GPUs")
    short: list[Fault] = []
    faults: list[Fault] = []
    for gpu in gpus:
        name, own = f"GPU{gpu['index']}", links[gpu["uuid"]]
        if sorted(own) != list(range(count)):
            short.append((name, str(len(own))))
        for number, seen in own.items():
            if not seen.endswith(" GB/s") or float(seen.split()[0]) < speed - 0.001:
                faults.append((f"{name} link {number}", seen.lower() if "active" in seen.lower() else seen))
    numbers = compared("NVLink count", str(count), short, REMEDY)
    return numbers + compared("NVLink", f"{speed:g} GB/s", faults, REMEDY)


def _headings(text: str) -> list[str]:
    return [heading[2] for line in text.splitlines() if (heading := _HEADING.fullmatch(line)) is not None]


def judge_errors(text: str, gpus: list[Row], expected: Expected, uptime_s: float) -> list[Entry]:
    """Judge the errors since the driver was loaded; nothing where this driver has no such counters.

    Replays and recoveries must not have happened; CRC errors are corrected, and matter from a rate on only.
    Source: limits of NVIDIA's DCGM (dcgm_gpu_hardware_limits.h), 2026-11.

    Args:
        text: What `nvidia-smi nvlink -e` printed.
        gpus: The GPUs.
        expected: What the node must be.
        uptime_s: Seconds since boot.

    Raises:
        NotUnderstood: A line cannot be read, or counters of a link are missing.
    """
    if _UNSUPPORTED.search(text):
        return []
    counters: dict[str, dict[tuple[int, str], str]] = {gpu["uuid"]: {} for gpu in gpus}
    for uuid, line in _sections(text, _COUNTER):
        own, key = counters.get(uuid), (int(line[1]), line[2])
        if own is None or key in own:
            raise NotUnderstood(f"{line[2]} of link {line[1]} of {uuid}")
        own[key] = line[3]
    faults: list[Fault] = []
    for gpu in gpus:
        name, own = f"GPU{gpu['index']}", counters[gpu["uuid"]]
        for link in range(expected.nvlinks_per_gpu):
            missing = [kind for kind in COUNTED if (link, kind) not in own]
            if missing:
                raise NotUnderstood(f"no {missing[0]} of link {link} of {name}")
        limit = int(expected.crc_errors_per_s * uptime_s)
        for (link, kind), seen in own.items():
            if kind.endswith("Errors") and not _tolerable(seen, limit if kind == "CRC Errors" else 0):
                faults.append((f"{name} link {link}", f"{seen} {kind}"))
    return compared("NVLink errors", "none", faults, ERRORS_REMEDY)


def _tolerable(seen: str, limit: int) -> bool:
    return seen.isdigit() and int(seen) <= limit
