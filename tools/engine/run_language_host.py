"""Starts the language host; run by the launcher beside it.

`import pulumi` takes 0.4 s, which every `pulumi up` would pay twice; the protocol's messages alone take 0.1 s. So the
two packages above them are put in place unexecuted: this process never runs a program, it only starts those that do.
"""

import importlib
import importlib.util
import os
import sys
from types import ModuleType


def _put_in_place(name: str, directory: str) -> None:
    package = ModuleType(name)
    package.__path__ = [directory]
    sys.modules[name] = package


def main() -> None:
    """Serve one engine; does not return."""
    found = importlib.util.find_spec("pulumi")
    if found is None or not found.submodule_search_locations:
        sys.exit(f"the Pulumi SDK is not installed for {sys.executable}: run `make setup`")
    sdk = next(iter(found.submodule_search_locations))
    _put_in_place("pulumi", sdk)
    _put_in_place("pulumi.runtime", f"{sdk}/runtime")
    # Programs are started by vfork, which needs none of gRPC's handlers; they would talk on stderr.
    os.environ.update(GRPC_ENABLE_FORK_SUPPORT="0", GRPC_VERBOSITY="ERROR")
    importlib.import_module("language_host.service").main()


if __name__ == "__main__":
    main()
