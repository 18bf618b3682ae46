"""What a unit says in the journal, cut down to the line a person needs."""

import json
import re
import subprocess

_LINES = 400
_ERROR = re.compile(
    r"\b[A-Za-z_.]*(Error|Exception|Interrupt)\b: .|: error: |(^|\W)error: |no space left", re.IGNORECASE
)
# What vLLM's processes put in front of each line, and what other processes say once one of them has failed.
_PREFIX = re.compile(r"^\(\w+( pid=\d+)?\)\s*|^(ERROR|WARNING|INFO|CRITICAL) \d\d-\d\d [\d:]+ \[[^]]*\]\s*")
_ECHO = re.compile(
    r"Engine core initialization failed|See root cause above|WorkerProc initialization failed|EngineDeadError"
)

# pydantic names the error in one line and says what is wrong in the next, with the input once more.
_ANNOUNCED = re.compile(r"\d+ validation errors? for \w+$")
_INPUT = re.compile(r"\s*\[type=.*")

# What the engine logs when a part of its start begins, and how to call it; in the order of time.
_STAGES = (
    ("non-default args", "reading the model's configuration"),
    ("Initializing a V1 LLM engine", "starting the workers"),
    ("Starting to load model", "loading the weights"),
    ("Loading weights took", "warming up"),
    ("init engine", "starting the server"),
)


def last_words(unit: str, invocation: str = "") -> str:
    """Return the last line a unit said, "" when it said nothing."""
    lines = _said(unit, invocation)
    return lines[-1] if lines else ""


def last_error(unit: str, invocation: str = "") -> str:
    """Return the last line that names an error of its own, or else the last line at all."""
    lines = _said(unit, invocation)
    named = [at for at, line in enumerate(lines) if _ERROR.search(line) and not _ECHO.search(line)]
    if not named:
        return lines[-1] if lines else "it said nothing"
    last = lines[named[-1]]
    details = lines[named[-1] + 1 : named[-1] + 2] if _ANNOUNCED.search(last) else []
    return " ".join([last, *(_INPUT.sub("", line) for line in details)])


def stage(unit: str, invocation: str) -> str:
    """Return how far the engine's start is."""
    text = "\n".join(_said(unit, invocation))
    return next((name for mark, name in reversed(_STAGES) if mark in text), "loading its code")


def _said(unit: str, invocation: str) -> list[str]:
    """Return the unit's own last lines: of one start of it, where that is named, and none of systemd's about it."""
    which = [f"_SYSTEMD_INVOCATION_ID={invocation}"] if invocation else [f"_SYSTEMD_UNIT={unit}"]
    command = ["journalctl", "--quiet", "--no-pager", "--output", "json", "--lines", str(_LINES), *which]
    run = subprocess.run(command, capture_output=True, check=False, stdin=subprocess.DEVNULL)
    return [line for line in map(_message, run.stdout.splitlines()) if line]


def _message(entry: bytes) -> str:
    try:
        text = json.loads(entry).get("MESSAGE") or ""
    except ValueError:
        return ""
    # A message with other than printable characters comes as a list of bytes.
    line = bytes(text).decode("utf-8", "replace") if isinstance(text, list) else str(text)
    line = re.sub(r"\x1b\[[0-9;]*m", "", line).strip()
    while (cut := _PREFIX.sub("", line)) != line:
        line = cut
    return line.strip()
