"""What stands in a stack's file: read as it is, and told in one line where it is none."""

from pathlib import Path

import pytest

from nodestack.automation import files
from nodestack.automation.checkout import Checkout
from nodestack.errors import SettingsError


def checkout(root: Path, text: str) -> Checkout:
    (root / "stacks").mkdir()
    (root / "stacks" / "Pulumi.mine.yaml").write_text(text, encoding="utf-8")
    return Checkout(root)


def test_a_section_is_what_stands_there_and_one_that_is_missing_is_empty(tmp_path: Path) -> None:
    mine = checkout(tmp_path, "config:\n  nodestack:node: {shape: local}\n  nodestack:watch:\n")
    assert files.section(mine, "mine", "node") == {"shape": "local"}
    assert files.section(mine, "mine", "watch") == files.section(mine, "mine", "model") == {}
    with pytest.raises(SettingsError, match=r"neither stacks/Pulumi.other.yaml nor stacks/templates/other.yaml"):
        files.section(mine, "other", "node")


def test_a_section_that_is_no_mapping_is_named_with_what_it_is(tmp_path: Path) -> None:
    mine = checkout(tmp_path, "config:\n  nodestack:cloud: spheron\n")
    with pytest.raises(SettingsError, match=r"stacks/Pulumi.mine.yaml: nodestack:cloud is 'spheron', it must be a map"):
        files.section(mine, "mine", "cloud")


@pytest.mark.parametrize("text", ["config:\n  a: : b\n", "config: [1, 2]\n", "config: text\n", "text\n", "- 1\n"])
def test_a_file_that_is_no_stacks_file_is_told(tmp_path: Path, text: str) -> None:
    mine = checkout(tmp_path, text)
    told = r"^stacks/Pulumi.mine.yaml is no stack's file: [^\n]+$"
    with pytest.raises(SettingsError, match=told):
        files.document(mine, "mine")
    with pytest.raises(SettingsError, match=told):
        files.section(mine, "mine", "node")


@pytest.mark.parametrize("text", ["", "# nothing\n", "config:\n", "encryptionsalt: v1:x\n"])
def test_a_file_that_says_nothing_is_empty(tmp_path: Path, text: str) -> None:
    assert files.document(checkout(tmp_path, text), "mine")["config"] == {}
