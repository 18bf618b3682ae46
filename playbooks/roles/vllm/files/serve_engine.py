#!/usr/bin/env python3
"""Start vLLM's own command line with the API key from the unit's credential: it is in no argument and no environment.

Runs with the engine's Python: `serve-engine MODEL --config FILE`; with `--check` in front it only parses the options.
"""

import os
import sys
from pathlib import Path

CREDENTIAL = "api_key"


class Keys(list[str]):
    """API keys that do not show themselves: vLLM logs every option that is not at its default."""

    def __repr__(self) -> str:
        return "['***']"


def main(arguments: list[str]) -> None:
    """Hand over to `vllm serve`; it parses, and calls back once it has."""
    check = arguments[:1] == ["--check"]
    keys = Keys() if check else Keys([read_key()])

    # After the key: a missing one shall not take the seconds of these imports to be found.
    from vllm.entrypoints.cli.main import main as vllm  # noqa: PLC0415
    from vllm.entrypoints.cli.serve import ServeSubcommand  # noqa: PLC0415

    serve = ServeSubcommand.cmd

    def dispatch(options: object) -> None:
        if not check:
            options.api_key = keys  # type: ignore[attr-defined]
            serve(options)

    ServeSubcommand.cmd = staticmethod(dispatch)
    sys.argv = ["vllm", "serve", *(arguments[1:] if check else arguments)]
    vllm()


def read_key() -> str:
    """Return the API key, or end with one line that says where it was looked for."""
    directory = os.environ.get("CREDENTIALS_DIRECTORY", "")
    try:
        key = Path(directory, CREDENTIAL).read_text(encoding="ascii").strip()
    except (OSError, UnicodeError) as error:
        sys.exit(
            f"credential {CREDENTIAL} with the API key cannot be read ({error}): start this as its unit, by systemctl"
        )
    if not key:
        sys.exit(f"credential {CREDENTIAL} is empty: the server would take requests without a key")
    return key


if __name__ == "__main__":
    main(sys.argv[1:])
