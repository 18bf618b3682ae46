"""Settings explained on a terminal."""

import json
from collections.abc import Iterable

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from nodestack.settings.reference import Setting


def settings_table(settings: Iterable[Setting]) -> Group:
    """Return each setting with what it may be, what it is for and how it is set."""
    found: list[RenderableType] = []
    for setting in settings:
        body = Text("\n".join([setting.meaning, f"example: {setting.example}"]))
        found += [
            Text.assemble((setting.key, "bold"), f"  {_kind(setting)}"),
            Padding(body, (0, 0, 0, 4), expand=False),
        ]
    return Group(*found)


def _kind(setting: Setting) -> str:
    kind = setting.type if not setting.allowed else " | ".join(str(value) for value in setting.allowed)
    if setting.applies:
        kind = f"{kind}; where {setting.applies}"
    if setting.required:
        return f"{kind}; required"
    if setting.default is None:
        return f"{kind}; may be left out"
    shown = setting.default if isinstance(setting.default, str) else json.dumps(setting.default)
    return f"{kind}; default {shown or 'empty'}"
