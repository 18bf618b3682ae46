"""Applying a playbook to one node, in a process of its own: live progress, one clear failure, nothing left behind."""

import os
import queue
import shutil
import signal
import subprocess
import sys
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import IO, cast

from pydantic import BaseModel, ConfigDict

from nodestack.errors import Interrupted, NodestackError, ProvisioningError, ReachError
from nodestack.provisioning import workspace
from nodestack.provisioning.document import NodeDocument
from nodestack.provisioning.events import PLAY, Verdict
from nodestack.provisioning.lock import LOCK_WAIT_S, NodeLock
from nodestack.provisioning.reach import Connection, Progress, required_status, session
from nodestack.provisioning.report import NodeStatusReport
from nodestack.provisioning.runlog import RunLog
from nodestack.provisioning.workspace import Secrets

__all__ = ["Provisioned", "Secrets", "apply"]

_POLL_S = 0.1
_STOP_GRACE_S = 4.0
_STATUS_TIMEOUT_S = 20.0


class Provisioned(BaseModel):
    """What came of a playbook that ended well.

    Attributes:
        status: What the node says about itself afterwards.
        phases: Seconds per role, and "play" for tasks of none.
        recap: Number of tasks by outcome: ok, changed, skipped and so on.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    status: NodeStatusReport
    phases: dict[str, float]
    recap: dict[str, int]


def apply(  # noqa: PLR0913 - the contract of the one entry point, each by name
    connection: Connection,
    document: NodeDocument,
    secrets: Secrets,
    *,
    log_directory: Path,
    progress: Progress,
    cancelled: threading.Event,
    playbook: str | Path = "site.yml",
    more: BaseModel | None = None,
    lock_wait_s: float = LOCK_WAIT_S,
) -> Provisioned:
    """Run a playbook against a node that `wait_for_node` found ready.

    Args:
        connection: How the node is reached.
        document: What to apply; its `*_file` fields are set here.
        secrets: Handed over as files of mode 0600 in a private directory that is removed afterwards.
        log_directory: Gets what Ansible printed, one file of mode 0600 a run; the last runs are kept.
        progress: Takes a line for each task, and each second of a long one.
        cancelled: Set by whoever wants this to stop.
        playbook: Name of a playbook of ours, or the path of another.
        more: Variables of this playbook alone.
        lock_wait_s: How long another run on the same node is waited for.

    Raises:
        ProvisioningError: A task failed, with the gate's own message; or another run holds the node.
        ReachError: The node does not answer, or stopped answering in mid-play.
        Interrupted: `cancelled` was set; nothing of the run is left on this machine.
    """
    if shutil.which("ssh") is None:
        raise ReachError("there is no ssh client on this machine, Ansible needs one: install openssh-client")
    run = uuid.uuid4().hex
    chosen = workspace.PLAYBOOKS / playbook
    with (
        workspace.workspace() as directory,
        NodeLock(connection, run, progress, lock_wait_s) as lock,
        RunLog(log_directory, chosen.stem, secrets, connection) as log,
    ):
        lock.take(cancelled)
        workspace.fill(
            directory,
            connection=connection,
            document=document,
            secrets=secrets,
            run=run,
            applied=lock.applied,
            more=more,
        )
        verdict = Verdict()
        for line in _run(directory, chosen, lock, cancelled):
            before = verdict.line
            verdict.take(log.note(line))
            if verdict.line != before:
                progress(verdict.line)
        failure = _failure(verdict, log, connection)
    if failure is not None:
        raise failure
    with session(connection) as opened:
        status = required_status(opened, _STATUS_TIMEOUT_S)
    return Provisioned(status=status, phases=verdict.phases, recap=verdict.recap)


def _run(directory: Path, playbook: Path, lock: NodeLock, cancelled: threading.Event) -> Iterator[str]:
    """Yield what the child prints, line by line."""
    child = subprocess.Popen(
        [sys.executable, "-m", "nodestack.provisioning.runner", str(directory), str(playbook)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=workspace.environment(directory),
        cwd=directory,
        start_new_session=True,
    )
    try:
        lines = _lines_of(cast("IO[bytes]", child.stdout))
        while True:
            if cancelled.is_set():
                raise Interrupted("stopped in mid-play; the node is kept, run again to continue")
            lock.check()
            try:
                line = lines.get(timeout=_POLL_S)
            except queue.Empty:
                continue
            if line is None:
                return
            yield line
    finally:
        _end(child)


def _lines_of(stream: IO[bytes]) -> "queue.Queue[str | None]":
    lines: queue.Queue[str | None] = queue.Queue()

    def pump() -> None:
        with stream:
            for line in stream:
                lines.put(line.decode(errors="replace"))
        lines.put(None)

    threading.Thread(target=pump, name="ansible-events", daemon=True).start()
    return lines


def _end(child: subprocess.Popen[bytes]) -> None:
    """End the child, which ends its own; what escaped that is ended with the private directory."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        if child.poll() is None:
            os.killpg(child.pid, number)
            try:
                child.wait(_STOP_GRACE_S)
            except subprocess.TimeoutExpired:
                continue
    if child.stdin is not None:
        child.stdin.close()


def _failure(verdict: Verdict, log: RunLog, connection: Connection) -> NodestackError | None:
    if verdict.returncode == 0:
        return None
    bad = verdict.failure
    if verdict.returncode is None:
        return ProvisioningError(
            f"Ansible was ended from outside at {verdict.line or 'the start'}: run again, it continues from there "
            f"(details in {log.path})"
        )
    if bad is None:
        why = log.redact(verdict.last_error) or f"it ended with status {verdict.returncode}"
        return ProvisioningError(f"Ansible could not run the playbook: {why} (details in {log.path})")
    where = bad.role or PLAY
    if bad.kind == "unreachable":
        return ReachError(
            f"{connection.known_host} stopped answering at {bad.place}: check that the machine still runs, "
            f"then run again, it continues from there (details in {log.path})"
        )
    if bad.message:
        return ProvisioningError(f"{where}: {log.redact(bad.message)}", role=bad.role, task=bad.task)
    status = "" if bad.returncode is None else f" with exit status {bad.returncode}"
    return ProvisioningError(
        f'{where}: the task "{bad.task}" failed{status}: read its output in {log.path}', role=bad.role, task=bad.task
    )
