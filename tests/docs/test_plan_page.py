"""docs/plan.md names the keys that come out, all of them and no other."""

import re

import pytest
from pydantic import BaseModel

from nodestack.planning.result import Plan
from nodestack.rendering.comparison import Row
from nodestack.settings.reference import Setting
from tests.commands.json_keys import keys
from tests.commands.runs import ROOT


@pytest.mark.parametrize(("command", "kind"), [("plan", Plan), ("compare", Row), ("config explain", Setting)])
def test_documented_keys_are_the_real_ones(command: str, kind: type[BaseModel]) -> None:
    page = (ROOT / "docs" / "plan.md").read_text(encoding="utf-8")
    section = page.partition(f"## JSON of `nodestack {command} --json`\n")[2].partition("\n## ")[0]
    assert re.findall(r"^\| `([^`]+)` \| \S", section, flags=re.M) == keys(kind)
