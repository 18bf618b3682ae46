"""Check an options file by the parser of the engine that will serve with it, as the user that will serve.

Exit 1 and one line on stderr when it refuses. What it took is remembered beside the engine: to ask again takes seconds.
"""

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

LAUNCHER = Path("/usr/local/lib/nodestack/serve-engine")
TIMEOUT_S = 180
MEMORY = "nodestack-options-taken"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run once; return the exit status."""
    parser = argparse.ArgumentParser(prog="check", description="Check engine options by the engine's own parser.")
    parser.add_argument("--engine", type=Path, required=True)
    parser.add_argument("--launcher", type=Path, default=LAUNCHER)
    parser.add_argument("--user", required=True)
    parser.add_argument("--environment", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("options", type=Path)
    given = parser.parse_args(arguments)
    memory = given.engine / MEMORY
    digest = hashlib.sha256(given.options.read_bytes()).hexdigest()
    if memory.exists() and digest in memory.read_text().split():
        return 0
    # The engine's user may not read what the controller just put into its own temporary directory.
    with tempfile.TemporaryDirectory(prefix="nodestack-check-") as directory:
        Path(directory).chmod(0o755)
        options = Path(directory, "options.yaml")
        shutil.copyfile(given.options, options)
        options.chmod(0o644)
        command = [given.engine / "bin" / "python", given.launcher, "--check", "MODEL", "--config", options]
        refusal = _refusal(command, given.user, dict(pair.split("=", 1) for pair in given.environment))
    if refusal:
        sys.stderr.write(f"{refusal}\n")
        return 1
    with memory.open("a") as taken:
        taken.write(f"{digest}\n")
    return 0


def _refusal(command: Sequence[str | Path], user: str, environment: dict[str, str]) -> str:
    """Return why the parser refuses, in one line, or ""."""
    try:
        run = subprocess.run(
            [str(word) for word in command],
            user=user, group=user, extra_groups=(), umask=0o077, cwd="/",
            env={"PATH": os.defpath, "LANG": "C.UTF-8", **environment}, stdin=subprocess.DEVNULL,
            capture_output=True, text=True, check=False, timeout=TIMEOUT_S,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return f"the engine's parser did not answer within {TIMEOUT_S} s"
    if run.returncode == 0:
        return ""
    lines = [line.strip() for line in run.stderr.splitlines() if line.strip()]
    for number, line in enumerate(lines):
        if ": error: " in line:
            # Errors of a nested option go on in the next line.
            return " ".join([line.split(": error: ", 1)[1], *lines[number + 1 : number + 2]])
    return lines[-1] if lines else f"the engine's parser ended with status {run.returncode} and said nothing"


if __name__ == "__main__":
    sys.exit(main())
