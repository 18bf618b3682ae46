"""Recorded and documented outputs of hardware, good and bad: each gets the right verdict, and the right remedy."""

import datetime
import re
from pathlib import Path
from typing import Any, Literal

import pytest
import yaml
from nodestack_fabric.entries import all_well
from nodestack_fabric.measured import Measured
from pydantic import BaseModel, ConfigDict, Field

from nodestack.clouds.local.hardware import load
from tests.playbooks.fabric.world import World, answers, expected, four_h200

CASES = sorted((Path(__file__).parent / "cases").glob("*.yaml"))


class Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Edit(Strict):
    """A change of what a command prints: each match of a pattern (lines apart) replaced."""

    output: str
    find: str
    by: str


class Fault(Strict):
    """A fault that the verdict must name.

    Attributes:
        check: Title of the entry; where `starts`, its first words.
        seen: Words of what was seen.
        remedy: Words of the remedy.
    """

    check: str
    starts: bool = False
    seen: str
    remedy: str
    remedy_also: str = ""


class Case(Strict):
    """One node's outputs, where their form comes from, and what they mean.

    Attributes:
        form: `recorded` where what matters stands in public documents, `generated` where it was made in their form.
        source: Those documents.
        hardware: Profile whose outputs fill what is not said.
        expected: What the node must be; like `h100` or `h200`, but for what else is said.
        outputs: What commands print instead.
        ends: How commands end that do not end with 0.
        programs: Programs that are installed beside the driver.
        measured: What was measured on these GPUs before.
    """

    form: Literal["recorded", "generated"]
    source: str = Field(min_length=10)
    hardware: str
    expected: dict[str, Any] = Field(default_factory=dict)
    outputs: dict[str, str] = Field(default_factory=dict)
    edits: tuple[Edit, ...] = ()
    ends: dict[str, int] = Field(default_factory=dict)
    programs: tuple[str, ...] = ()
    measured: dict[str, float | datetime.date] = Field(default_factory=dict)
    acceptance: bool = False
    passes: bool
    faults: tuple[Fault, ...] = ()

    def world(self) -> World:
        """Return the node."""
        profile = load(self.hardware)
        told = answers(profile)
        for edit in self.edits:
            changed = re.sub(edit.find, edit.by, told[edit.output], flags=re.MULTILINE)
            assert changed != told[edit.output], f"nothing is {edit.find!r}"
            told[edit.output] = changed
        uuids = tuple(profile.uuid(place) for place in profile.gpus)
        figures: dict[str, Any] = {
            key: value.isoformat() if isinstance(value, datetime.date) else value
            for key, value in self.measured.items()
        }
        measured = Measured(uuids, **figures) if figures else None
        return World({**told, **self.outputs}, self.ends, self.programs, measured)


def load_case(path: Path) -> Case:
    return Case.model_validate(yaml.safe_load(path.read_text()))


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_each_output_gets_its_verdict_and_its_remedy(path: Path) -> None:
    case = load_case(path)
    changes = dict(case.expected)
    wanted = four_h200 if changes.pop("like", "h100") == "h200" else expected
    entries = case.world().judged(wanted(**changes), acceptance=case.acceptance)
    seen = [(entry.title, entry.seen, entry.remedy) for entry in entries if not entry.passed]
    assert all_well(entries) is case.passes, seen
    assert len(seen) == len(case.faults), seen
    for (title, saw, remedy), fault in zip(seen, case.faults, strict=True):
        assert title.startswith(fault.check) if fault.starts else title == fault.check
        assert fault.seen in saw
        assert fault.remedy in remedy
        assert fault.remedy_also in remedy


def test_there_are_enough_of_them_good_and_bad_recorded_and_generated() -> None:
    cases = [load_case(path) for path in CASES]
    assert len(cases) >= 40
    assert sum(case.form == "recorded" for case in cases) >= 15
    assert sum(case.passes for case in cases) >= 15
    assert sum(not case.passes for case in cases) >= 40
    assert all(bool(case.faults) is not case.passes for case in cases)
