"""The command line: thin, each command calls one thing, and nothing is imported before it is needed."""

import argparse
import os
import sys
from importlib import import_module

from nodestack.commands import arguments
from nodestack.errors import CatalogError, NodestackError, SettingsError

FAILED, BAD_INPUT, INTERRUPTED = 1, 2, 130


def main(argv: list[str] | None = None) -> int:
    """Run a command and return its exit status: 0 done, 1 failed or does not fit, 2 bad input, 130 interrupted."""
    options = arguments.parser().parse_args(argv)
    try:
        return _run(options)
    except (SettingsError, CatalogError) as error:
        print(f"error: {error}", file=sys.stderr)
        return BAD_INPUT
    except (NodestackError, FileNotFoundError) as error:
        print(f"error: {error}", file=sys.stderr)
    except KeyboardInterrupt:
        print("interrupted: what exists is kept, the same command continues from it", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        # Whoever read the output has enough; Python would complain once more when it flushes.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return FAILED


def _run(options: argparse.Namespace) -> int:
    module, _, function = options.command.partition(":")
    return int(getattr(import_module(f"nodestack.commands.{module}"), function)(options))


if __name__ == "__main__":
    sys.exit(main())
