"""What the node's monitoring is told of the weights: a file in Prometheus' text format."""

import time
from pathlib import Path

from nodestack_weights import layout, manifest
from nodestack_weights.records import Record

_HELP = (
    ("nodestack_weights_pass", "Whether every byte of the current weights was what was recorded, 1 or 0."),
    ("nodestack_weights_verified_timestamp_seconds", "When the weights were last verified, whatever came of it."),
    ("nodestack_weights_bytes", "Size of the verified files."),
    ("nodestack_weights_verify_seconds", "How long the last verification took."),
)


def write(state_directory: Path, record: Record | None, *, passed: bool, size_bytes: int, seconds: float) -> None:
    """Replace the file; one that cannot be written is not worth a refusal.

    Args:
        state_directory: The node's records.
        record: What was to be verified, None where nothing was recorded.
        passed: The verdict.
        size_bytes: Size of the verified files.
        seconds: How long it took.
    """
    of = {"repository": record.repository, "commit": record.commit} if record else {}
    labels = ",".join(f'{name}="{_escaped(value)}"' for name, value in of.items())
    values = (int(passed), round(time.time(), 3), size_bytes, round(seconds, 3))
    lines = []
    for (name, text), value in zip(_HELP, values, strict=True):
        lines += [f"# HELP {name} {text}", f"# TYPE {name} gauge", f"{name}{{{labels}}} {value}"]
    try:
        manifest.replace_file(state_directory / layout.METRICS_NAME, ("\n".join(lines) + "\n").encode())
    except OSError:
        return


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
