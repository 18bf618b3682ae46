"""Judge sets of options by this environment's `vllm serve`: runs with the engine's own Python, imports it once for all.

Reads a JSON list on stdin, each entry with "options" (for the `--config` file) or "words" (of a command line), and
with "directory" of a model where the configuration shall be made too. Prints a JSON list, for each entry
{"kind": who refused or null, "said": its words, "values": what was understood}.
"""

import contextlib
import io
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import yaml
from vllm.engine.arg_utils import AsyncEngineArgs
from vllm.entrypoints.cli import serve
from vllm.usage.usage_lib import UsageContext
from vllm.utils.argparse_utils import FlexibleArgumentParser

Verdict = dict[str, Any]


def main() -> None:
    """Judge what stdin holds."""
    asked = json.load(sys.stdin)
    root = FlexibleArgumentParser(prog="vllm")
    serve.ServeSubcommand().subparser_init(root.add_subparsers(dest="subparser"))
    # What the engine prints while it imports and judges is not part of the answer.
    with contextlib.redirect_stdout(sys.stderr):
        verdicts = [_judge(root, one) for one in asked]
    print(json.dumps(verdicts, default=str))


def _judge(root: FlexibleArgumentParser, one: dict[str, Any]) -> Verdict:
    model = one.get("directory") or "MODEL"
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            understood = _parse(root, model, one)
    # The parser leaves by SystemExit, and some of its converters by whatever happens to them.
    except (SystemExit, Exception) as error:
        lines = [line.strip() for line in said.getvalue().splitlines() if ": error: " in line]
        return {"kind": "parser", "said": lines[-1].split(": error: ", 1)[1] if lines else str(error), "values": {}}
    values = {name: value for name, value in vars(understood).items() if name not in {"config", "dispatch_function"}}
    try:
        # As `vllm serve` does, which takes the model from its first word.
        understood.model = model
        serve.validate_parsed_serve_args(understood)
        if one.get("directory"):
            AsyncEngineArgs.from_cli_args(understood).create_engine_config(UsageContext.OPENAI_API_SERVER)
    # Whatever keeps a configuration from being made is its refusal.
    except Exception as error:
        return {"kind": "configuration", "said": str(error), "values": values}
    return {"kind": None, "said": "", "values": values}


def _parse(root: FlexibleArgumentParser, model: str, one: dict[str, Any]) -> Any:
    if "words" in one:
        return root.parse_args(one["words"])
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        yaml.safe_dump(one["options"], file)
        file.flush()
        return root.parse_args(["serve", model, "--config", str(Path(file.name))])


if __name__ == "__main__":
    main()
