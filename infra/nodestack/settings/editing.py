"""Change a stack's file as text, so that its comments stay."""

import re
from collections.abc import Iterable

from nodestack.errors import SettingsError
from nodestack.settings.defaults import SECRETS

_OF_ONE_STACK = frozenset({"encryptionsalt", *(f"nodestack:{name}" for name in SECRETS)})
_SECTION_INDENT, _KEY_INDENT = 2, 4


def without_secrets(text: str) -> str:
    """Return a stack's file without what belongs to that stack alone: its secrets and their salt."""
    kept: list[str] = []
    skipping = False
    for line in text.splitlines(keepends=True):
        if _indent(line) <= _SECTION_INDENT and line.strip():
            name = line.strip().partition(": ")[0].rstrip(":")
            skipping = name in _OF_ONE_STACK
        if not skipping:
            kept.append(line)
    return "".join(kept)


def with_header(text: str, header: Iterable[str]) -> str:
    """Return a stack's file with other words in front than the comment that it starts with."""
    body = re.sub(r"\A(#[^\n]*\n)*", "", text)
    return "".join(f"# {line}\n" for line in header) + body


def with_setting(text: str, section: str, key: str, value: str) -> str:
    """Return a stack's file that sets a key of a section; the comment above it stays where there is one.

    Args:
        text: The file, as the templates are written: sections two spaces in, keys four.
        section: Name of the section.
        key: A key of it.
        value: YAML of one line.

    Raises:
        SettingsError: The file has no place for it.
    """
    lines = text.splitlines()
    heads = [number for number, line in enumerate(lines) if line == f"  nodestack:{section}:"]
    if not heads:
        if "config:" not in lines:
            raise SettingsError("the file has no `config:` of its own line, set it by hand")
        return "\n".join([*lines, f"  nodestack:{section}:", f"    {key}: {value}"]) + "\n"
    start = heads[0] + 1
    end = next(
        (n for n in range(start, len(lines)) if lines[n].strip() and _indent(lines[n]) < _KEY_INDENT), len(lines)
    )
    for number in range(start, end):
        if re.match(rf"    {re.escape(key)}:( |$)", lines[number]):
            below = next((n for n in range(number + 1, end) if _indent(lines[n]) <= _KEY_INDENT), end)
            lines[number:below] = [f"    {key}: {value}"]
            return "\n".join(lines) + "\n"
    lines.insert(start, f"    {key}: {value}")
    return "\n".join(lines) + "\n"


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip(" "))
