"""`nodestack config explain`: every setting, told from the settings themselves."""

import argparse
import json
from difflib import get_close_matches

from nodestack.errors import SettingsError
from nodestack.rendering.settings_table import settings_table
from nodestack.rendering.terminal import show
from nodestack.settings.reference import Setting, reference


def run(options: argparse.Namespace) -> int:
    """Print all settings, those of a section, or one.

    Raises:
        SettingsError: There is no such section or setting; the message names the closest.
    """
    asked = options.key.removeprefix("nodestack:") if options.key else None
    found = chosen(reference(), asked)
    if options.json:
        print(json.dumps([setting.model_dump(mode="json") for setting in found], indent=2))
    else:
        show(settings_table(found))
    return 0


def chosen(settings: list[Setting], asked: str | None) -> list[Setting]:
    """Return the settings that a section or a key names, or all."""
    if asked is None:
        return settings
    found = [setting for setting in settings if setting.key == asked or setting.key.startswith(f"{asked}.")]
    if not found:
        known = {setting.key for setting in settings} | {setting.key.partition(".")[0] for setting in settings}
        close = get_close_matches(asked, known, n=1) or get_close_matches(
            asked.rpartition(".")[2], known, n=1, cutoff=0.3
        )
        hint = f"; did you mean {close[0]}?" if close else ""
        sections = ", ".join(dict.fromkeys(setting.key.partition(".")[0] for setting in settings))
        raise SettingsError(f"{asked!r} is no setting; sections are {sections}{hint}")
    return found
