"""The verdict as Prometheus reads it."""

from nodestack_fabric.entries import Entry, failed, passed
from nodestack_fabric.measured import Measured
from nodestack_fabric.metrics import render


def samples(entries: list[Entry], measured: Measured | None = None) -> dict[str, float]:
    """Return the samples of the text, which must be well formed."""
    found: dict[str, float] = {}
    typed: set[str] = set()
    for line in render(entries, measured, 1764230400.25).splitlines():
        if line.startswith("# TYPE "):
            _, _, name, kind = line.split()
            assert kind == "gauge"
            assert name not in typed
            typed.add(name)
        elif not line.startswith("# HELP "):
            sample, value = line.rsplit(" ", 1)
            assert sample.split("{")[0] in typed
            found[sample] = float(value)
    return found


def test_a_check_is_1_only_where_all_its_entries_passed() -> None:
    entries = [
        passed("GPU count", "8"),
        failed("topology", "NV18", "PIX", "replace", "GPU2-GPU3"),
        passed("topology", "NV18"),
    ]
    seen = samples(entries)
    assert seen['nodestack_fabric_check{check="GPU count"}'] == 1
    assert seen['nodestack_fabric_check{check="topology"}'] == 0
    assert seen["nodestack_fabric_pass"] == 0
    assert seen["nodestack_fabric_timestamp_seconds"] == 1764230400.25


def test_all_checks_passed_is_a_pass_and_no_checks_are_none() -> None:
    assert samples([passed("MIG", "Disabled")])["nodestack_fabric_pass"] == 1
    assert samples([])["nodestack_fabric_pass"] == 0


def test_a_measurement_is_told_in_bytes_a_second() -> None:
    seen = samples([passed("MIG", "Disabled")], Measured(("a",), 470.5, "2026-11-27", 480.0, "2026-11-01"))
    assert seen["nodestack_fabric_allreduce_busbw_bytes_per_second"] == 470.5e9
    assert seen["nodestack_fabric_allreduce_baseline_bytes_per_second"] == 480e9


def test_what_a_check_is_called_cannot_break_the_text() -> None:
    assert r'{check="a \"b\" \\ c\nd"}' in render([passed('a "b" \\ c\nd', "x")], None, 0)
