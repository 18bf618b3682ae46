"""Whether every GPU is registered with the NVSwitch fabric."""

from nodestack_fabric.entries import REPLACE, Entry, compared
from nodestack_fabric.tables import of_each_gpu

FIELDS = ("index", "fabric.state", "fabric.status")
REMEDY = f"check that nvidia-fabricmanager runs and equals the driver, reboot once, then {REPLACE}"
COMPLETED, SUCCESS = "Completed", "Success"

State = tuple[str, str, str]
"""A GPU, and state and status of its registration."""


def read(text: str, count: int) -> list[State]:
    """Return state and status of every GPU.

    Raises:
        NotUnderstood: There is not one line for each GPU.
    """
    found = of_each_gpu(text, FIELDS, count)
    return [(f"GPU{row['index']}", row["fabric.state"], row["fabric.status"]) for row in found]


def waits(states: list[State]) -> list[str]:
    """Return what those GPUs say that may still complete; nothing where waiting would not help."""
    return sorted({state for _, state, _ in states if state in {"Not Started", "In Progress"}})


def judge(states: list[State], wait_s: int) -> list[Entry]:
    """Judge the fabric after the wait for it has ended."""
    late = f" after {wait_s} s" if waits(states) else ""
    faults = [
        (gpu, f"{state} with {status}{late}")
        for gpu, state, status in states
        if (state, status) != (COMPLETED, SUCCESS)
    ]
    if len(faults) == len(states) > 1 and len({seen for _, seen in faults}) == 1:
        faults = [("of all GPUs", faults[0][1])]
    return compared("fabric", f"{COMPLETED} with {SUCCESS}", faults, REMEDY)
