"""The parsers of real vLLM versions: many option sets in one process, because importing vLLM takes 10 to 20 s."""

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from pydantic import JsonValue

from engine_environment import environment

PARSE = Path(__file__).parents[1] / "tools" / "engine_side" / "parse_options.py"


class Verdict(NamedTuple):
    """What a version said to one set of options.

    Attributes:
        kind: "parser" or "configuration" when it refused, None when it took them.
        said: Its words.
        values: What it understood, by name with underscores.
    """

    kind: str | None
    said: str
    values: dict[str, JsonValue]


class Asked(NamedTuple):
    """One set of options, as the unit's file or as a command line.

    Attributes:
        options: By name, as the `--config` file has them; ignored where there are words.
        words: Everything after `vllm`.
        directory: A model with which the configuration is made as well.
    """

    options: Mapping[str, JsonValue] | None = None
    words: Sequence[str] | None = None
    directory: Path | None = None


def judge(version: str, asked: Sequence[Asked]) -> list[Verdict]:
    """Return a version's verdicts, in order; about 20 s whatever their number."""
    sets = [
        {key: value for key, value in one._asdict().items() if value is not None}
        | ({"directory": str(one.directory)} if one.directory else {})
        for one in asked
    ]
    variables = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    variables |= {"VLLM_NO_USAGE_STATS": "1", "VLLM_LOGGING_LEVEL": "ERROR", "HF_HUB_OFFLINE": "1"}
    run = subprocess.run(
        [str(environment(version)), str(PARSE)],
        input=json.dumps(sets), env=variables, cwd="/", capture_output=True, text=True, check=False,
    )  # fmt: skip
    if run.returncode != 0:
        raise AssertionError(f"vLLM {version} gave no verdicts: {run.stderr[-2000:]}")
    return [Verdict(**verdict) for verdict in json.loads(run.stdout.splitlines()[-1])]
