"""The verdict as Prometheus text, for the node exporter's textfile collector."""

from collections.abc import Sequence

from nodestack_fabric.entries import Entry, all_well
from nodestack_fabric.measured import Measured

_HELP = {
    "nodestack_fabric_check": "Whether a check of the GPUs and their fabric passed (1) or not (0).",
    "nodestack_fabric_pass": "Whether all checks passed.",
    "nodestack_fabric_timestamp_seconds": "When the GPUs and their fabric were judged, in seconds since 1970.",
    "nodestack_fabric_allreduce_busbw_bytes_per_second": "Bus bandwidth of the last NCCL all-reduce.",
    "nodestack_fabric_allreduce_baseline_bytes_per_second": "Bus bandwidth of the node's own baseline.",
}


def render(entries: Sequence[Entry], measured: Measured | None, now_s: float) -> str:
    """Return the metrics: of each check whether it passed everywhere, and of the whole.

    >>> print(render([], None, 0.0).splitlines()[-1])
    nodestack_fabric_timestamp_seconds 0
    """
    checks: dict[str, bool] = {}
    for entry in entries:
        checks[entry.check] = checks.get(entry.check, True) and entry.passed
    lines = _head("nodestack_fabric_check") if checks else []
    lines += [f'nodestack_fabric_check{{check="{_escaped(check)}"}} {well:d}' for check, well in checks.items()]
    figures = {"nodestack_fabric_pass": float(all_well(entries)), "nodestack_fabric_timestamp_seconds": now_s}
    if measured is not None and measured.busbw_gb_s is not None:
        figures["nodestack_fabric_allreduce_busbw_bytes_per_second"] = measured.busbw_gb_s * 1e9
    if measured is not None and measured.baseline_gb_s is not None:
        figures["nodestack_fabric_allreduce_baseline_bytes_per_second"] = measured.baseline_gb_s * 1e9
    for name, figure in figures.items():
        lines += [*_head(name), f"{name} {figure:.15g}"]
    return "\n".join(lines) + "\n"


def _head(name: str) -> list[str]:
    return [f"# HELP {name} {_HELP[name]}", f"# TYPE {name} gauge"]


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
