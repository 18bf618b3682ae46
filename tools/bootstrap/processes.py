"""Runs the programs set-up needs: output to a log and line by line to whoever counts, all ended when one part fails."""

import os
import shutil
import signal
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from bootstrap.checkout import SetupError

Argv = Sequence[str | Path]

TAIL_LINES = 8
FETCH_PAUSES_S = (2.0, 10.0, 30.0)
"""Pauses before what fetches is tried again: a name that a busy line did not resolve is resolved a moment later."""
SETPRIV = shutil.which("setpriv")
# The thread that starts a program also waits for it, so the signal comes with the end of the whole process.
ENDS_WITH_US = [SETPRIV, "--pdeathsig", "TERM", "--"] if SETPRIV else []


class Processes:
    """Everything running at the moment.

    Args:
        logs: The directory that receives one log for each part.
    """

    def __init__(self, logs: Path) -> None:
        self._logs = logs
        self._lock = threading.Lock()
        self._running: set[subprocess.Popen[str]] = set()
        self._stopped = threading.Event()
        self._logged: set[str] = set()

    def fetch(
        self,
        part: str,
        argv: Argv,
        *,
        cwd: Path | None = None,
        environment: Mapping[str, str] | None = None,
        on_line: Callable[[str], None] = lambda line: None,
    ) -> None:
        """Run a program that asks the network and keeps what it got, as `run` does, and again where it fails.

        Raises:
            SetupError: It failed each time, or another part did meanwhile.
        """
        for pause_s in FETCH_PAUSES_S:
            try:
                return self.run(part, argv, cwd=cwd, environment=environment, on_line=on_line)
            except SetupError:
                if self._stopped.wait(pause_s):
                    raise
        return self.run(part, argv, cwd=cwd, environment=environment, on_line=on_line)

    def run(
        self,
        part: str,
        argv: Argv,
        *,
        cwd: Path | None = None,
        environment: Mapping[str, str] | None = None,
        on_line: Callable[[str], None] = lambda line: None,
    ) -> None:
        """Run a program to its end.

        Args:
            part: Whose log its output goes to, and who is named when it fails.
            argv: The program and its arguments.
            cwd: Where it runs, by default here.
            environment: What it gets on top of our environment.
            on_line: Called with every line it writes.

        Raises:
            SetupError: It failed; the message has its last lines and the log's path.
        """
        self._logs.mkdir(parents=True, exist_ok=True)
        log = self._logs / f"{part}.log"
        tail: list[str] = []
        with self._lock:
            mode = "a" if part in self._logged else "w"
            self._logged.add(part)
        with log.open(mode) as record:
            record.write(f"$ {' '.join(str(word) for word in argv)}\n")
            process = self._start(argv, cwd, environment)
            try:
                for line in process.stdout or ():
                    record.write(line)
                    record.flush()
                    tail = [*tail, line.rstrip()][-TAIL_LINES:]
                    on_line(line.rstrip("\n"))
                code = process.wait()
            finally:
                self._end(process)
        if code:
            said = " | ".join(line for line in tail if line.strip())
            raise SetupError(f"{part}: {Path(argv[0]).name} failed ({code}): {said} (all of it: {log})")

    def _start(self, argv: Argv, cwd: Path | None, environment: Mapping[str, str] | None) -> subprocess.Popen[str]:
        with self._lock:
            if self._stopped.is_set():
                raise SetupError("stopped because another part failed")
            try:
                process = subprocess.Popen(
                    [*ENDS_WITH_US, *(str(word) for word in argv)],
                    cwd=cwd,
                    env={**os.environ, **(environment or {})},
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    text=True,
                    errors="replace",
                    # A group of its own, so that its children end with it.
                    start_new_session=True,
                )
            except OSError as error:
                raise SetupError(f"cannot run {argv[0]}: {error.strerror}") from error
            self._running.add(process)
            return process

    def _end(self, process: subprocess.Popen[str]) -> None:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGTERM)
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        if process.stdout:
            process.stdout.close()
        with self._lock:
            self._running.discard(process)

    def stop(self) -> None:
        """End what runs and start nothing more."""
        with self._lock:
            self._stopped.set()
            running = list(self._running)
        for process in running:
            self._end(process)
