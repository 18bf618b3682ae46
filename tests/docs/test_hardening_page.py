"""The page of the engine's confinement names what the unit has, and nothing that it has not."""

import re
from pathlib import Path

from tests.playbooks.vllm import probes

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "hardening.md").read_text(encoding="utf-8")
UNIT = (ROOT / "tests/playbooks/vllm/golden/cuda/nodestack-vllm.service").read_text(encoding="utf-8")
DIRECTIVES = set(re.findall(r"^((?:[A-Z][a-z]+)*(?:Protect|Private|Restrict|System)\w+)=", UNIT, flags=re.M))


def denied() -> list[str]:
    table = PAGE.partition("## What each directive denies")[2].partition("## What stays open")[0]
    return re.findall(r"^\| `([^`]+)` \|", table, flags=re.M)


def test_every_row_is_tried_and_every_probe_has_its_row() -> None:
    assert denied() == list(probes.PROBES)


def test_every_directive_that_confines_the_unit_is_on_the_page() -> None:
    for directive in DIRECTIVES - {"SystemCallErrorNumber"}:
        assert f"`{directive}" in PAGE, directive


def test_every_row_is_about_a_directive_of_the_unit() -> None:
    for name in denied():
        assert f"\n{name.partition(' ')[0]}=" in UNIT, name


def test_what_the_page_calls_open_the_unit_does_not_close() -> None:
    table = PAGE.partition("## What stays open, and why")[2]
    for directive in ("MemoryDenyWriteExecute", "PrivateDevices", "ProtectClock", "ProcSubset", "PrivateUsers"):
        assert f"`{directive}`" in table and f"\n{directive}=" not in UNIT
