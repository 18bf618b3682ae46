"""One run of a stack at a time, and a run that was killed leaves nothing behind that others would wait for."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from nodestack.automation.checkout import Checkout
from nodestack.automation.turn import only_run
from nodestack.errors import RecoveryError

HOLD = """
import sys
from pathlib import Path
from nodestack.automation.checkout import Checkout
from nodestack.automation.turn import only_run
with only_run(Checkout(Path(sys.argv[1])), "dev"):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_the_second_is_told_whom_to_wait_for_and_another_stack_is_free(tmp_path: Path) -> None:
    checkout = Checkout(tmp_path)
    with only_run(checkout, "dev"):
        with pytest.raises(RecoveryError, match=rf"locked by process {os.getpid()}, which is at work on dev"):
            only_run(checkout, "dev").__enter__()
        with only_run(checkout, "dev-2"):
            pass
    with only_run(checkout, "dev"):
        pass


def test_a_killed_run_gives_the_stack_back(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        with pytest.raises(RecoveryError, match=f"process {process.pid}"):
            only_run(Checkout(tmp_path), "dev").__enter__()
        process.kill()
    with only_run(Checkout(tmp_path), "dev"):
        pass
