"""A stack's file is changed as text: what was said of a key stays, what belongs to one stack alone goes."""

import pytest
import yaml

from nodestack.errors import SettingsError
from nodestack.settings.editing import with_header, with_setting, without_secrets

FILE = """\
# One stack.
encryptionsalt: v1:abc
config:
  nodestack:node:
    # Why this shape.
    shape: 8x-h100-sxm5
    market: on_demand
  nodestack:api_keys:
    alice:
      secure: v1:def
  nodestack:model:
    manifests:
      aa: bb
    name: m
  nodestack:api_key:
    secure: v1:ghi
"""


def test_secrets_and_their_salt_stay_behind() -> None:
    text = without_secrets(FILE)
    assert "v1:" not in text
    assert list(yaml.safe_load(text)["config"]) == ["nodestack:node", "nodestack:model"]


def test_a_key_is_replaced_below_its_comment() -> None:
    text = with_setting(FILE, "node", "shape", "4x-h200-sxm5")
    assert "    # Why this shape.\n    shape: 4x-h200-sxm5\n    market: on_demand\n" in text


def test_a_key_of_several_lines_is_replaced_whole() -> None:
    assert yaml.safe_load(with_setting(FILE, "model", "manifests", "{}"))["config"]["nodestack:model"] == {
        "manifests": {},
        "name": "m",
    }


def test_a_new_key_and_a_new_section_are_added() -> None:
    assert (
        yaml.safe_load(with_setting(FILE, "node", "region", "FIN-02"))["config"]["nodestack:node"]["region"] == "FIN-02"
    )
    added = yaml.safe_load(with_setting(FILE, "policy", "environment", "spot"))["config"]
    assert added["nodestack:policy"] == {"environment": "spot"}


def test_a_file_of_another_form_is_told() -> None:
    with pytest.raises(SettingsError, match="set it by hand"):
        with_setting("{config: {}}\n", "node", "shape", "x")


def test_the_first_comment_is_replaced_and_no_other() -> None:
    assert with_header(FILE, ["Another.", "Really."]).startswith("# Another.\n# Really.\nencryptionsalt")
    assert "# Why this shape." in with_header(FILE, [])
