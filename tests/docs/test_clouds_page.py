"""docs/clouds.md names the keys that come out, all of them and no other, and the commands it shows are real ones."""

import re
import shlex

import pytest
from pydantic import BaseModel

from nodestack.commands import arguments
from nodestack.rendering.offers_table import Row
from nodestack.rendering.sweep_table import Report
from tests.commands.json_keys import keys
from tests.commands.runs import ROOT

PAGES = [(ROOT / "docs" / name).read_text(encoding="utf-8") for name in ("clouds.md", "operate.md")]
HELP = [arguments.OFFERS_EXAMPLES, arguments.SWEEP_EXAMPLES]
SHOWN = [
    line for text in (*PAGES, *HELP) for line in re.findall(r"^ *nodestack ((?:offers|sweep).*)$", text, flags=re.M)
]


@pytest.mark.parametrize(("command", "kind"), [("offers", Row), ("sweep", Report)])
def test_documented_keys_are_the_real_ones(command: str, kind: type[BaseModel]) -> None:
    section = PAGES[0].partition(f"## JSON of `nodestack {command} --json`\n")[2].partition("\n## ")[0]
    assert re.findall(r"^\| `([^`]+)` \| \S", section, flags=re.M) == keys(kind)


@pytest.mark.parametrize("line", SHOWN)
def test_a_command_that_is_shown_is_one_that_is_understood(line: str) -> None:
    words = shlex.split(line, comments=True)
    assert arguments.parser().parse_args(words).command == f"{words[0]}:run"
