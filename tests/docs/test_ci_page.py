"""The page about CI names every script there is."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_every_script_is_on_the_page_and_no_other() -> None:
    page = (ROOT / "docs" / "ci.md").read_text(encoding="utf-8")
    shown = set(re.findall(r"^\| `\.ci/(\w+)", page, flags=re.M))
    assert shown == {path.name for path in (ROOT / ".ci").iterdir()} - {"run"}
