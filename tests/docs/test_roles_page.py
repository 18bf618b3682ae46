"""Every role says which variables it takes, of which type, and the page says the same."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

import role_pages

ROOT = Path(__file__).resolve().parents[2]
ROLES = role_pages.roles(ROOT)


def options(role: str) -> dict[str, Any]:
    return {
        name: option
        for spec in role_pages.specs(ROOT, role).values()
        for name, option in spec.get("options", {}).items()
    }


def used(role: str) -> set[str]:
    """Return the variables of a role that its own files mention and that neither it nor one of its tasks sets."""
    directory = ROOT / "playbooks" / "roles" / role
    text = "\n".join(
        path.read_text(encoding="utf-8")
        for part in ("tasks", "templates", "vars", "handlers", "defaults")
        for path in sorted((directory / part).rglob("*"))
        if path.is_file()
    )
    made = set(re.findall(rf"^\s*(?:- )?(?:register: )?({role}_\w+)(?::|$)", text, flags=re.M))
    # Names inside a template, anchors, filters of the role's own, and variables of what a template is written for.
    made |= set(re.findall(rf"(?:{{% (?:set|for) |&|\| |\$)({role}_\w+)", text))
    made -= set(role_pages.defaults(ROOT, role))
    return set(re.findall(rf"(?<![/.\w-]){role}_\w+\b(?!\.py)", text)) - made - {f"nodestack_{role}"}


def test_the_page_is_what_the_roles_say() -> None:
    found = role_pages.PAGE.read_text(encoding="utf-8")
    assert found == role_pages.page(ROOT), "run `.venv/bin/python tools/role_pages.py`"


@pytest.mark.parametrize("role", ROLES)
def test_every_default_is_described_and_every_default_that_is_described_is_the_real_one(role: str) -> None:
    described, real = options(role), role_pages.defaults(ROOT, role)
    assert real.keys() <= described.keys()
    for name, option in described.items():
        if "default" in option and name in real:
            assert option["default"] == real[name], name
        if not option.get("required"):
            assert name in real or "default" in option, f"{name} is neither required nor has it a default"


@pytest.mark.parametrize("role", ROLES)
def test_every_option_has_a_type_and_says_in_a_sentence_what_it_is(role: str) -> None:
    for name, option in options(role).items():
        assert name.startswith(f"{role}_"), name
        assert option["type"] in {"str", "int", "float", "bool", "list", "dict", "path"}, name
        assert "elements" in option or option["type"] != "list", f"{name} is a list of what?"
        assert re.match(r"[A-Z0-9].*[.]$", role_pages._text(option["description"])), name


@pytest.mark.parametrize("role", ROLES)
def test_every_variable_that_a_role_uses_is_described_or_made_by_it(role: str) -> None:
    assert used(role) <= options(role).keys()


def test_the_page_is_made_of_tables_that_hold_together() -> None:
    for line in role_pages.PAGE.read_text(encoding="utf-8").splitlines():
        if line.startswith("|"):
            assert len(re.findall(r"(?<!\\)\|", line)) == 5, line


def test_entry_points_are_files_of_tasks() -> None:
    for role in ROLES:
        for entry in role_pages.specs(ROOT, role):
            path = ROOT / "playbooks" / "roles" / role / "tasks" / f"{entry}.yml"
            assert isinstance(yaml.safe_load(path.read_text(encoding="utf-8")), list)
