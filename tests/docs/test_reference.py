"""The reference pages name everything there is to configure and everything that comes out."""

import re
from pathlib import Path
from typing import get_args

import pytest
from pydantic import BaseModel

from nodestack.settings import NAMESPACE, Settings

ROOT = Path(__file__).resolve().parents[2]
SECTIONS = {
    name: field.annotation
    for name, field in Settings.model_fields.items()
    if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)
}


def keys_of(page: str, heading: str) -> dict[str, str]:
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    section = text.partition(f"## {heading}\n")[2].partition("\n## ")[0]
    return {key: rest for key, rest in re.findall(r"^\| `(\w+)` \|([^|]*)\|", section, flags=re.M)}


def test_every_setting_of_every_cloud_is_on_the_page_and_no_other() -> None:
    kinds = get_args(Settings.model_fields["cloud"].annotation)
    known = {name for kind in kinds for name in kind.model_fields}
    assert keys_of("configure.md", f"{NAMESPACE}:cloud").keys() == known


@pytest.mark.parametrize("section", SECTIONS)
def test_every_setting_is_on_the_page_and_no_other(section: str) -> None:
    fields = SECTIONS[section].model_fields
    assert keys_of("configure.md", f"{NAMESPACE}:{section}").keys() == fields.keys()


@pytest.mark.parametrize("section", SECTIONS)
def test_defaults_on_the_page_are_the_real_ones(section: str) -> None:
    shown = keys_of("configure.md", f"{NAMESPACE}:{section}")
    for name, field in SECTIONS[section].model_fields.items():
        if isinstance(field.default, int | float | str) and field.default != "":
            assert shown[name].strip("` ").lower() == str(field.default).lower()


def test_every_output_is_on_the_page_and_no_other() -> None:
    program = (ROOT / "infra/nodestack/components/outputs.py").read_text(encoding="utf-8")
    table = program.partition("outputs = {")[2].partition("\n    }\n")[0]
    exported = re.findall(r'^        "(\w+)": ', table, flags=re.M)
    page = (ROOT / "docs" / "outputs.md").read_text(encoding="utf-8")
    assert re.findall(r"^\| `(\w+)` \|", page, flags=re.M) == exported


def test_every_make_target_of_the_readme_exists_and_is_explained_by_help() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"\bmake (?:-s )?([a-z]+)\b", readme))
    assert {"up", "test", "down", "purge"} <= targets
    for target in targets:
        assert re.search(rf"^{target}:", makefile, flags=re.M), target
