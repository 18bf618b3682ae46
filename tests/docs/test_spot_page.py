"""docs/spot.md, docs/state.md and the help: commands that exist, settings that hold, every word of a journal."""

import re
import shlex
from datetime import timedelta
from typing import get_args

import pytest
import yaml

from nodestack.automation.doctor import Finding
from nodestack.commands import arguments, life_arguments
from nodestack.lifecycle.journal import What
from nodestack.settings.watch import Fallback, WatchSettings
from tests.commands.runs import ROOT

PAGES = {name: (ROOT / "docs" / f"{name}.md").read_text(encoding="utf-8") for name in ("spot", "state", "operate")}
HELP = [
    life_arguments.WATCH_EXAMPLES,
    life_arguments.PARK_EXAMPLES,
    life_arguments.LEASE_EXAMPLES,
    life_arguments.DOCTOR_EXAMPLES,
    life_arguments.EVALUATE_EXAMPLES,
]
COMMANDS = "watch|park|unpark|lease|doctor|evaluate"
SHOWN = [
    line
    for text in (*PAGES.values(), *HELP)
    for line in re.findall(rf"^ *(?:\$ )?nodestack ((?:{COMMANDS})\b.*)$", text, flags=re.M)
]


def test_each_command_is_shown() -> None:
    assert {line.split()[0] for line in SHOWN} == set(COMMANDS.split("|"))


@pytest.mark.parametrize("line", SHOWN)
def test_a_command_that_is_shown_is_one_that_is_understood(line: str) -> None:
    words = shlex.split(line, comments=True)
    assert arguments.parser().parse_args(words).command.partition(":")[0] in ("watch", "doctor", "evaluate")


def test_the_example_of_settings_holds_and_every_fallback_is_explained() -> None:
    example = re.search(r"```yaml\n(  nodestack:watch:\n.*?)```", PAGES["spot"], flags=re.S)
    assert example is not None
    WatchSettings.model_validate(yaml.safe_load(example[1])["nodestack:watch"])
    assert set(re.findall(r"^\| `(\w+)` \| \S", PAGES["spot"], flags=re.M)) >= set(get_args(Fallback))


def test_every_word_of_a_journal_is_explained() -> None:
    table = PAGES["spot"].partition("## Its journal")[2].partition("\n## ")[0]
    words = {word for cell in re.findall(r"^\| (`.*?`) \|", table, flags=re.M) for word in re.findall(r"`(\w+)`", cell)}
    assert words - {"what"} == set(get_args(What))


def test_every_key_of_a_finding_is_explained() -> None:
    assert set(re.findall(r"^\| `(\w+)` \|", PAGES["state"], flags=re.M)) == set(Finding.model_fields)


@pytest.mark.parametrize(("text", "hours"), [("90m", 1.5), ("4h", 4), ("2d", 48), ("0.5h", 0.5)])
def test_times_are_understood(text: str, hours: float) -> None:
    assert life_arguments.duration(text) == timedelta(hours=hours)


@pytest.mark.parametrize("text", ["", "4", "h", "-1h", "0h", "4w", "9999d", "4 h"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(SystemExit) as ended:
        arguments.parser().parse_args(["lease", "--for", text])
    assert ended.value.code == 2


def test_units_name_what_exists() -> None:
    for file in sorted((ROOT / "docs" / "systemd").iterdir()):
        text = file.read_text(encoding="utf-8")
        for line in re.findall(r"^ExecStart=\S+/nodestack (.*)$", text, flags=re.M):
            assert arguments.parser().parse_args(shlex.split(line)).command == "watch:run"
        assert file.name.replace("once@.timer", "once@.service") in {one.name for one in file.parent.iterdir()}
