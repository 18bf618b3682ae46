"""Runs one command and says what it took; also as a program, on a node: `python3 timed.py DIRECTORY COMMAND…`.

The standard library is all it needs.
"""

import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Sequence
from typing import NamedTuple


class Run(NamedTuple):
    """What a command took.

    Attributes:
        status: Its exit status.
        seconds: Until it ended.
        seconds_to_disk: Until all that was written to the file system of its directory was on the disk.
        cpu_seconds: Of its processes.
        load: The machine's at its end.
        said: The end of what it wrote to standard error.
    """

    status: int
    seconds: float
    seconds_to_disk: float
    cpu_seconds: float
    load: float
    said: str


def run(directory: str, command: Sequence[str]) -> Run:
    """Run a command in a directory."""
    before, began = _cpu_seconds(), time.monotonic()
    ended = subprocess.run(command, cwd=directory, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=False)
    seconds, after = time.monotonic() - began, _cpu_seconds()
    subprocess.run(["sync", "--file-system", directory], check=True)
    said = ended.stderr.decode(errors="replace")[-500:]
    return Run(ended.returncode, seconds, time.monotonic() - began, after - before, os.getloadavg()[0], said)


def _cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    print(json.dumps(run(sys.argv[1], sys.argv[2:])._asdict()))
