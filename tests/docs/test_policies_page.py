"""The page about policies names each with its severities and settings, and its program is one."""

import re
from pathlib import Path

import yaml

from nodestack.policies.book import load_for, ours
from nodestack.policies.facts import ENVIRONMENTS
from nodestack.policies.rules import RULES

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "policies.md").read_text(encoding="utf-8")


def test_every_policy_is_on_the_page_with_its_severities() -> None:
    section = PAGE.partition("## What is asked\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| `([\w-]+)` \| (.+?) \| (\w+) \| (\w+) \| (\w+) \| (\w+) \|$", section, flags=re.M)
    assert rows == [
        (name, policy.title, *(policy.severity[environment] for environment in ENVIRONMENTS))
        for name, policy in ours().policies.items()
    ]


def test_every_setting_of_a_policy_is_on_the_page_and_no_other() -> None:
    section = PAGE.partition("## Change them\n")[2].partition("\n## ")[0]
    shown = {
        (policy, key)
        for policy, keys in re.findall(r"^\| `([\w-]+)` \| (`.+?) \|", section, flags=re.M)
        for key in re.findall(r"`(\w+)`", keys)
    }
    assert shown == {(name, key) for name, rule in RULES.items() for key in rule.terms.model_fields}


def test_the_file_on_the_page_is_one(tmp_path: Path) -> None:
    text = re.findall(r"```yaml\n(.*?)```", PAGE, flags=re.S)[0]
    (tmp_path / "stacks").mkdir()
    (tmp_path / "stacks" / "policies.yaml").write_text(text)
    book = load_for(tmp_path)
    assert book.severity("closed-ingress", "spot") == "mandatory"
    assert yaml.safe_load(text).keys() <= RULES.keys()


def test_the_pack_on_the_page_is_valid_code() -> None:
    compile(re.findall(r"```python\n(.*?)```", PAGE, flags=re.S)[0], "the page", "exec")
