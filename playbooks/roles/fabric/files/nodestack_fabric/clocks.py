"""Clocks: what a GPU may reach at most, and what holds it back right now."""

from nodestack_fabric.entries import REPLACE, Entry, Fault, compared
from nodestack_fabric.expected import Expected
from nodestack_fabric.tables import at_least, misfits, of_each_gpu

REASONS = {
    "clocks_event_reasons.hw_slowdown": "hardware slowdown",
    "clocks_event_reasons.hw_thermal_slowdown": "too hot (hardware)",
    "clocks_event_reasons.sw_thermal_slowdown": "too hot (driver)",
    "clocks_event_reasons.hw_power_brake_slowdown": "power brake",
}
FIELDS = ("index", "clocks.max.sm", *REASONS)
CLOCK_REMEDY = f"have locked clocks released (nvidia-smi -rgc); if it stays, {REPLACE}"
SLOWDOWN_REMEDY = "ask the provider to check cooling and power of the node: its GPUs are slowed down"


def judge(text: str, expected: Expected, count: int) -> list[Entry]:
    """Judge the highest clock, where one is known, and that no GPU is slowed down by heat or by its power supply.

    Raises:
        NotUnderstood: There is not one line for each GPU.
    """
    clocks = of_each_gpu(text, FIELDS, count)
    entries: list[Entry] = []
    if expected.sm_clock_mhz:
        slow = misfits(clocks, "clocks.max.sm", lambda cell: at_least(cell, expected.sm_clock_mhz))
        seen = [(gpu, f"{clock} MHz") for gpu, clock in slow]
        entries += compared("SM clock", f"{expected.sm_clock_mhz} MHz", seen, CLOCK_REMEDY)
    faults: list[Fault] = []
    for field, reason in REASONS.items():
        for gpu, seen_there in misfits(clocks, field, "Not Active".__eq__):
            faults.append((gpu, reason if seen_there == "Active" else f"{reason}: {seen_there}"))
    return entries + compared("clock slowdown", "none", faults, SLOWDOWN_REMEDY)
