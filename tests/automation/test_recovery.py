import json
import os
import socket
import subprocess
from pathlib import Path

import pytest

from nodestack.automation.checkout import Checkout
from nodestack.automation.recovery import recover
from nodestack.errors import RecoveryError


def lock(checkout: Checkout, pid: int, host: str) -> Path:
    directory = checkout.locks("local")
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / "0b1c.json"
    path.write_text(json.dumps({"pid": pid, "username": "root", "hostname": host, "timestamp": "2026-11-22T10:00:00Z"}))
    return path


def dead_pid() -> int:
    child = subprocess.Popen(["true"])
    child.wait()
    return child.pid


def test_the_lock_of_a_dead_process_of_this_host_is_removed(tmp_path: Path) -> None:
    checkout = Checkout(tmp_path)
    path = lock(checkout, dead_pid(), socket.gethostname())
    assert recover(checkout, "local")[0].startswith("removed the lock of process")
    assert not path.exists()


def test_the_lock_of_a_live_process_stays(tmp_path: Path) -> None:
    checkout = Checkout(tmp_path)
    path = lock(checkout, os.getpid(), socket.gethostname())
    with pytest.raises(RecoveryError, match=rf"locked by process {os.getpid()}, which is running"):
        recover(checkout, "local")
    assert path.exists()


def test_the_lock_of_another_host_stays_whatever_runs_here(tmp_path: Path) -> None:
    checkout = Checkout(tmp_path)
    path = lock(checkout, dead_pid(), "elsewhere")
    with pytest.raises(RecoveryError, match="on host elsewhere"):
        recover(checkout, "local")
    assert path.exists()


def test_a_checkout_without_state_has_nothing_to_recover(tmp_path: Path) -> None:
    assert recover(Checkout(tmp_path), "local") == []
