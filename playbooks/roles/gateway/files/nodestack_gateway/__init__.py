"""What the gateway's scripts share."""

import json
import os
from pathlib import Path
from typing import Any


class GatewayError(Exception):
    """What a script fails with: one line for a person."""


def replace_file(path: Path, text: str, mode: int = 0o644) -> None:
    """Write a file so that no reader ever sees half of it, nor anybody what is not for him."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(beside, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, mode)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        os.fchmod(file.fileno(), mode)
        file.write(text)
    beside.replace(path)


def read_json(path: Path) -> Any:
    """Return the content of a JSON file, or None where there is no whole one."""
    try:
        return json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
