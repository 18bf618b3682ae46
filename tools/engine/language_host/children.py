"""The processes a language host starts: each in a group of its own, none outlives the host."""

import contextlib
import os
import shutil
import signal
import subprocess
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO

GRACE_S = 5.0


class Child:
    """A running process and its group."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        self.was_ended = False

    @property
    def stdout(self) -> IO[bytes]:
        """What the process writes, where it was started with its output taken."""
        return _taken(self._process.stdout)

    @property
    def stderr(self) -> IO[bytes]:
        """What the process complains about, where it was started with its output taken."""
        return _taken(self._process.stderr)

    def wait(self) -> int:
        """Wait for the process to end by itself and return its exit code, 128 + n for a signal n."""
        code = self._process.wait()
        return code if code >= 0 else 128 - code

    def end(self, grace_s: float = GRACE_S) -> None:
        """End the process and its group: asked first, killed after a grace."""
        self.was_ended = self.was_ended or self._process.poll() is None
        self._signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(grace_s)
        self._signal(signal.SIGKILL)
        self._process.wait()

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, number)


def _taken(stream: IO[bytes] | None) -> IO[bytes]:
    if stream is None:
        raise ValueError("this process was started without its output taken")
    return stream


class Children:
    """Starts processes and ends them all on request."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: set[Child] = set()
        self._closed = False
        # A parent-death signal comes when the *thread* that started the child ends, so one that never ends starts all.
        self._starter = ThreadPoolExecutor(max_workers=1, thread_name_prefix="starter")
        setpriv = shutil.which("setpriv")
        self._bound_to_us = [setpriv, "--pdeathsig", "KILL", "--"] if setpriv else []

    def start(
        self, argv: Sequence[str], *, cwd: Path, environment: Mapping[str, str], take_output: bool = False
    ) -> Child:
        """Start a process in a session of its own, so that only we pass it signals.

        Args:
            argv: The program and its arguments.
            cwd: Where it runs.
            environment: All of its environment.
            take_output: Whether its output is read here; else it goes where ours goes.

        Raises:
            OSError: It could not be started.
            RuntimeError: The host is ending.
        """
        return self._starter.submit(self._start, list(argv), cwd, dict(environment), take_output).result()

    def _start(self, argv: list[str], cwd: Path, environment: dict[str, str], take_output: bool) -> Child:
        output = subprocess.PIPE if take_output else None
        with self._lock:
            if self._closed:
                raise RuntimeError("the language host is ending")
            process = subprocess.Popen(
                [*self._bound_to_us, *argv],
                cwd=cwd,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
            child = Child(process)
            self._running.add(child)
            return child

    def forget(self, child: Child) -> None:
        """Stop counting a child that has ended."""
        with self._lock:
            self._running.discard(child)

    def end_all(self) -> None:
        """End every child, all at once, and start no more."""
        with self._lock:
            self._closed = True
            running = list(self._running)
        enders = [threading.Thread(target=child.end) for child in running]
        for ender in enders:
            ender.start()
        for ender in enders:
            ender.join()
