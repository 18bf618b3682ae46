import json
from pathlib import Path
from typing import Any, get_origin

import pytest
import yaml

from nodestack.provisioning.document import MACHINE_FIELDS, BenchDocument, NodeDocument, document_sha256
from nodestack.provisioning.workspace import PLAYBOOKS
from tests.provisioning.documents import node_document

ANSIBLE_TYPES = {str: "str", int: "int", bool: "bool", float: "float", dict: "dict", list: "list"}


def options_by_role() -> dict[str, dict[str, Any]]:
    specs = sorted((PLAYBOOKS / "roles").glob("*/meta/argument_specs.yml"))
    return {
        path.parents[1].name: yaml.safe_load(path.read_text())["argument_specs"]["main"]["options"] for path in specs
    }


VARIABLES = NodeDocument.model_fields | BenchDocument.model_fields


def ansible_type(field: str) -> str:
    annotation = VARIABLES[field].annotation
    origin = get_origin(annotation)
    if origin in (dict, list):
        return ANSIBLE_TYPES[origin]
    if annotation == float | None:
        return "float"
    # What is left is a plain type, or a Literal of strings.
    return ANSIBLE_TYPES.get(annotation, "str") if isinstance(annotation, type) else "str"


@pytest.mark.parametrize("field", sorted(VARIABLES))
def test_a_field_is_an_option_of_the_one_role_it_starts_with_and_of_its_type(field: str) -> None:
    owners = {role: options[field] for role, options in options_by_role().items() if field in options}
    named = [role for role in options_by_role() if field.startswith(f"{role}_")]
    assert named, f"no role owns {field}"
    assert max(named, key=len) in owners, f"{named} does not know {field}"
    for role, option in owners.items():
        assert option.get("type", "str") == ansible_type(field), f"{role} takes {field} for another type"


@pytest.mark.parametrize("role", sorted(options_by_role()))
def test_what_a_role_requires_is_in_the_document(role: str) -> None:
    required = {name for name, option in options_by_role()[role].items() if option.get("required")}
    assert required <= set(VARIABLES)


@pytest.mark.parametrize("role", sorted(options_by_role()))
def test_what_a_role_lets_open_has_a_default_in_the_role(role: str) -> None:
    options = options_by_role()[role]
    defaults = yaml.safe_load((PLAYBOOKS / "roles" / role / "defaults" / "main.yml").read_text()) or {}
    own = {name for name in options if name not in VARIABLES}
    assert own <= set(defaults)


def test_the_digest_is_the_same_on_another_machine_and_with_other_files() -> None:
    asked = node_document()
    elsewhere = asked.model_copy(update=dict.fromkeys(MACHINE_FIELDS, "other"))
    assert document_sha256(asked) == document_sha256(elsewhere)


def another(value: Any) -> Any:
    """Return another value of the same type."""
    if isinstance(value, str):
        others = {"cpu": "cuda", "chat_reasoning_tools": "chat", "local": "external"}
        return others.get(value, f"{value}-another")
    if isinstance(value, list):
        return [*value, "another"]
    return (
        {**value, "another": "one"} if isinstance(value, dict) else not value if isinstance(value, bool) else value + 1
    )


@pytest.mark.parametrize("field", sorted(set(NodeDocument.model_fields) - MACHINE_FIELDS))
def test_the_digest_is_another_when_anything_else_is(field: str) -> None:
    asked = node_document()
    assert document_sha256(asked) != document_sha256(node_document(**{field: another(getattr(asked, field))}))


def test_the_digest_does_not_depend_on_the_order_of_options() -> None:
    options = node_document().vllm_options
    turned = dict(reversed(options.items()))
    assert json.dumps(options) != json.dumps(turned)
    assert document_sha256(node_document(vllm_options=options)) == document_sha256(node_document(vllm_options=turned))


def test_the_playbooks_are_where_the_package_looks_for_them() -> None:
    assert {"site.yml", "verify.yml", "ansible.cfg", "roles"} <= {path.name for path in Path(PLAYBOOKS).iterdir()}
