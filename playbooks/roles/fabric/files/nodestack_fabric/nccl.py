"""The measured bandwidth between all GPUs: NCCL's all-reduce, against a known figure or the node's own baseline."""

import re

from nodestack_fabric import NotUnderstood
from nodestack_fabric.entries import REPLACE, Entry, failed, passed
from nodestack_fabric.expected import Expected

CHECK = "NCCL all-reduce"
PROGRAM = "all_reduce_perf"
PLACES = ("/usr/local/bin", "/usr/bin", "/opt/nccl-tests/build", "/opt/nccl_tests/build", "/usr/local/nccl-tests/build")
LARGEST = 8 << 30
ARGUMENTS = ("-b", "8", "-e", str(LARGEST), "-f", "2")
REMEDY = (
    f"verify again while nothing else runs on the GPUs; if it stays, {REPLACE}: its links are slower than they must be"
)
_RANK = re.compile(r"#\s+Rank\s+(\d+)\s")
_WRONG = re.compile(r"#\s*Out of bounds values\s*:\s*0\s+OK\s*")


def busbw(text: str, count: int) -> float:
    """Return the bus bandwidth at the largest size in GB/s: the lower one of in place and out of place.

    Raises:
        NotUnderstood: The run is not whole, was of other GPUs, or computed wrong values.
    """
    lines = [line.strip() for line in text.splitlines()]
    ranks = sorted({int(rank[1]) for line in lines if (rank := _RANK.match(line)) is not None})
    if ranks != list(range(count)):
        raise NotUnderstood(f"an all-reduce of {len(ranks)} instead of {count} GPUs")
    if not any(_WRONG.fullmatch(line) for line in lines):
        raise NotUnderstood("an all-reduce that did not end, or computed wrong values")
    headers = [line[1:].split() for line in lines if line.startswith("#") and "busbw" in line and "size" in line]
    if len(headers) != 1:
        raise NotUnderstood(f"{len(headers)} headers in the answer of {PROGRAM}")
    rows = [line.split() for line in lines if line[:1].isdigit()]
    if not rows or any(len(row) != len(headers[0]) for row in rows):
        raise NotUnderstood(f"a table of {len(rows)} rows that does not fit its header {' '.join(headers[0])!r}")
    try:
        largest = max(rows, key=lambda row: int(row[headers[0].index("size")]))
        if int(largest[headers[0].index("size")]) != LARGEST:
            raise NotUnderstood(f"an all-reduce that ends at {largest[0]} instead of {LARGEST} bytes")
        seen = [float(cell) for name, cell in zip(headers[0], largest, strict=True) if name == "busbw"]
        wrong = [cell for name, cell in zip(headers[0], largest, strict=True) if name == "#wrong"]
    except ValueError as error:
        raise NotUnderstood(f"a row in the answer of {PROGRAM}: {error}") from error
    if not seen or any(cell not in {"0", "N/A"} for cell in wrong):
        raise NotUnderstood(f"wrong values at the largest size: {', '.join(wrong)}")
    return min(seen)


def judge(measured_gb_s: float, baseline_gb_s: float | None, expected: Expected, when: str) -> list[Entry]:
    """Judge a measurement by the known figure where there is one, and by the node's own baseline where there is one.

    Args:
        measured_gb_s: What was measured, in GB/s.
        baseline_gb_s: What this node showed at first.
        expected: What is known of such nodes.
        when: When it was measured, for the reader.
    """
    least, source = floor(baseline_gb_s, expected)
    wanted, seen = f"at least {least:.0f} GB/s ({source})", f"{measured_gb_s:.1f} GB/s on {when}"
    if measured_gb_s >= least:
        return [passed(CHECK, wanted, seen)]
    return [failed(CHECK, wanted, seen, REMEDY)]


def floor(baseline_gb_s: float | None, expected: Expected) -> tuple[float, str]:
    """Return the bandwidth below which a node fails, and what it is reckoned from: the highest of all that is known."""
    floors = [(expected.busbw_pcie_gb_s if expected.nvlinks_per_gpu else 0.0, "more than PCIe can")]
    if expected.busbw_gb_s:
        share = expected.busbw_floor
        floors.append((expected.busbw_gb_s * share, f"{share:.0%} of {expected.busbw_gb_s:.0f}, known of such nodes"))
    if baseline_gb_s is not None:
        share = 1 - expected.busbw_tolerance
        floors.append((baseline_gb_s * share, f"{share:.0%} of {baseline_gb_s:.1f}, this node's own baseline"))
    return max(floors)
