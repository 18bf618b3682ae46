"""The process that runs Ansible: `python -m nodestack.provisioning.runner DIRECTORY PLAYBOOK`, in a session of its own.

Prints one PlayEvent a line. Its standard input is its parent's life: when that ends, and on SIGTERM, it ends all
processes of the run, removes the private directory and goes.
"""

import ctypes
import os
import shutil
import signal
import sys
import threading
from pathlib import Path
from typing import Any

import ansible_runner

from nodestack.provisioning import processes
from nodestack.provisioning.events import PlayEvent, translate
from nodestack.provisioning.workspace import PLAYBOOKS

_PR_SET_PDEATHSIG = 1
_END_GRACE_S = 2.0
_STOPPED = 143


def main(directory: Path, playbook: Path) -> None:
    """Run one playbook to its end."""
    signal.signal(signal.SIGTERM, lambda *_: _stop(directory))
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    threading.Thread(target=_watch_parent, args=(directory,), daemon=True).start()

    result = ansible_runner.run(
        private_data_dir=str(directory),
        project_dir=str(PLAYBOOKS),
        playbook=str(playbook),
        inventory=str(directory / "inventory.json"),
        event_handler=_report,
        # Given, so that ansible-runner installs no signal handlers of its own.
        cancel_callback=lambda: False,
        quiet=True,
        settings={"suppress_output_file": True},
    )
    _print(PlayEvent(kind="end", returncode=result.rc))


def _report(raw: dict[str, Any]) -> bool:
    _print(translate(raw))
    return False


def _print(event: PlayEvent) -> None:
    sys.stdout.write(event.model_dump_json(exclude_defaults=True) + "\n")
    sys.stdout.flush()


def _watch_parent(directory: Path) -> None:
    # Unbuffered: a thread that waits in a buffered read makes the interpreter's own end a fatal error.
    while os.read(sys.stdin.fileno(), 1):
        pass
    _stop(directory)


def _stop(directory: Path) -> None:
    processes.end(directory, _END_GRACE_S)
    shutil.rmtree(directory, ignore_errors=True)
    os._exit(_STOPPED)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
