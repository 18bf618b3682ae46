"""Write docs/roles.md: what each role does and every variable it takes, from the roles' own argument_specs.yml.

Run after a change of one: `.venv/bin/python tools/role_pages.py`; a test compares the page with the roles.
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "roles.md"
HEAD = """\
# Roles and their variables

Written from each role's `meta/argument_specs.yml`, by which Ansible checks the variables before the role begins:
`.venv/bin/python tools/role_pages.py` writes it anew.

`nodestack` sets the required ones from a stack's settings, see [configure.md](configure.md). The others are for whoever
plays the roles by hand, or keeps values of his own in an inventory.

The order is that of `playbooks/site.yml`: each role may rely on the ones before.
"""


def page(root: Path) -> str:
    """Return the whole page.

    Args:
        root: Of the checkout.
    """
    return "\n".join([HEAD, *(line for name in roles(root) for line in _role(root, name))])


def roles(root: Path) -> list[str]:
    """Return the roles, in the order in which they are played."""
    (play,) = yaml.safe_load((root / "playbooks" / "site.yml").read_text(encoding="utf-8"))
    return [entry["role"] for entry in play["roles"]]


def specs(root: Path, role: str) -> dict[str, Any]:
    """Return a role's entry points."""
    path = root / "playbooks" / "roles" / role / "meta" / "argument_specs.yml"
    return dict(yaml.safe_load(path.read_text(encoding="utf-8"))["argument_specs"])


def defaults(root: Path, role: str) -> dict[str, Any]:
    """Return a role's defaults, as they are written: with their templates."""
    path = root / "playbooks" / "roles" / role / "defaults" / "main.yml"
    return dict(yaml.safe_load(path.read_text(encoding="utf-8")) or {}) if path.exists() else {}


def _role(root: Path, role: str) -> Iterator[str]:
    for entry, spec in specs(root, role).items():
        yield f"## {role}" if entry == "main" else f"### {role}: tasks/{entry}.yml"
        yield ""
        yield f"{spec['short_description']}."
        yield ""
        yield from (f"{line}\n" for line in spec.get("description", []))
        options = spec.get("options", {})
        if options:
            yield "| variable | type | default | meaning |"
            yield "|---|---|---|---|"
            yield from (_option(name, option, defaults(root, role)) for name, option in options.items())
            yield ""


def _option(name: str, option: dict[str, Any], known: dict[str, Any]) -> str:
    kind = f"list of {option['elements']}" if "elements" in option else option["type"]
    if "choices" in option:
        kind = " or ".join(f"`{choice}`" for choice in option["choices"])
    default = "required" if option.get("required") else _shown(known.get(name, option.get("default")))
    return f"| `{name}` | {kind} | {default} | {_cell(_text(option['description']))} |"


def _shown(value: Any) -> str:
    if value is None:
        return "not set"
    if isinstance(value, dict | list) and value:
        value = yaml.safe_dump(value, default_flow_style=True, width=10**6).strip()
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return f"`{_cell(text.strip())}`" if text.strip() else "empty"


def _text(description: str | list[str]) -> str:
    return description if isinstance(description, str) else " ".join(description)


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())


def main() -> int:
    """Write the page."""
    PAGE.write_text(page(ROOT), encoding="utf-8")
    print(f"wrote {PAGE.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
