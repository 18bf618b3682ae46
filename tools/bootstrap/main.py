"""Makes a checkout ready: each part once for what it is made from, the slow ones side by side.

setup.py venv            the Python environment
setup.py venv check      ... and what `make check` runs
setup.py venv engine     ... and the Pulumi engine
setup.py venv engine local   ... and what nodes on this machine are made from
"""

import argparse
import fcntl
import json
import sys
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from pathlib import Path

from bootstrap import commands, engine, environment
from bootstrap.checkout import Checkout, SetupError, digest, locked, replace
from bootstrap.processes import Argv, Processes
from bootstrap.progress import Progress

PARTS = ("venv", "check", "engine", "local")
STAMPS = "setup.json"
INTERRUPTED = 130


def main(arguments: list[str]) -> int:
    """Set up the parts asked for; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="+", choices=PARTS)
    parts = parser.parse_args(arguments).parts
    checkout = Checkout.at(Path(__file__).resolve().parents[2])
    processes = Processes(checkout.state / "logs")
    try:
        if not outstanding(checkout, parts):
            return 0
        checkout.state.mkdir(exist_ok=True)
        _tell_if_busy(checkout.state / "setup.lock")
        with locked(checkout.state / "setup.lock"):
            # Somebody else may have done it while we waited.
            needed = outstanding(checkout, parts)
            if needed:
                Setup(checkout, processes, Progress()).run(needed)
    except KeyboardInterrupt:
        processes.stop()
        print("set-up was interrupted; run it again and it goes on from there", file=sys.stderr)
        return INTERRUPTED
    except (SetupError, OSError) as error:
        print(f"set-up failed: {error}", file=sys.stderr)
        return 1
    return 0


def _tell_if_busy(lock: Path) -> None:
    with lock.open("a") as opened:
        try:
            fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("another set-up of this checkout is running: waiting for it", file=sys.stderr, flush=True)


def outstanding(checkout: Checkout, parts: list[str]) -> list[str]:
    """Return those of these parts that are missing, or were made from something else than what is there now."""
    try:
        stamps = json.loads((checkout.state / STAMPS).read_text())
    except (OSError, ValueError):
        stamps = {}

    def _is_done(part: str) -> bool:
        if stamps.get(part) != _key(checkout, part) or commands.missing(checkout, part):
            return False
        if part == "engine":
            return engine.recorded(checkout) is not None
        return checkout.python.exists()

    return [part for part in PARTS if part in parts and not _is_done(part)]


def _key(checkout: Checkout, part: str) -> str:
    if part == "venv":
        return environment.key(checkout)
    if part == "engine":
        return engine.key(checkout)
    if part == "local":
        sources = sorted(path for path in (checkout.root / "infra").rglob("*") if _is_source(path))
        return digest(checkout.root / environment.LOCK, *sources)
    return digest(json.dumps(checkout.versions["commands"].get(part, {}), sort_keys=True))


def _is_source(path: Path) -> bool:
    return path.suffix != ".pyc" and "/." not in str(path) and path.is_file()


class Setup:
    """One run of set-up.

    Args:
        checkout: What is set up.
        processes: Runs what has to be run.
        progress: Says what happens.
    """

    def __init__(self, checkout: Checkout, processes: Processes, progress: Progress) -> None:
        self._checkout = checkout
        self._processes = processes
        self._progress = progress

    def run(self, parts: list[str]) -> None:
        """Set up parts, the engine beside the others.

        Raises:
            SetupError: One failed; the others were stopped.
        """
        packages = sorted({package for part in parts for package in commands.missing(self._checkout, part)})
        if packages:
            with self._progress.phase("commands") as remarks:
                commands.install(packages, self._processes)
                remarks.append(", ".join(packages))
        with ThreadPoolExecutor(max_workers=2) as pool:
            uv_program = pool.submit(self._uv)
            work = [pool.submit(self._sequence, [part for part in parts if part != "engine"], uv_program)]
            if "engine" in parts:
                work.append(pool.submit(self._engine, uv_program))
            self._await(work)
        self._progress.summary()

    def _await(self, work: list[Future[None]]) -> None:
        try:
            finished, _ = wait(work, return_when=FIRST_EXCEPTION)
        except KeyboardInterrupt:
            self._processes.stop()
            raise
        failures = [error for future in finished if (error := future.exception()) is not None]
        if failures:
            self._processes.stop()
            raise failures[0]

    def _uv(self) -> Path:
        with self._progress.phase("uv"):
            found = environment.uv(self._checkout, self._processes)
            replace(self._checkout.state / "uv", lambda new: new.symlink_to(found))
            return found

    def _engine(self, uv_program: Future[Path]) -> None:
        with self._progress.phase("engine") as remarks:
            found = engine.provide(self._checkout, self._processes, self._progress, uv_program.result)
            remarks.append(found.reason)
        self._stamp("engine")

    def _sequence(self, parts: list[str], uv_program: Future[Path]) -> None:
        for part in parts:
            if part == "venv":
                with self._progress.phase("venv"):
                    environment.make(self._checkout, self._processes, uv_program.result())
            elif part == "local":
                with self._progress.phase("local"):
                    self._prepare()
            self._stamp(part)

    def _prepare(self) -> None:
        command: Argv = [self._checkout.python, "-m", "nodestack.cli", "prepare"]
        self._processes.run("local", command, on_line=lambda line: self._progress.say("local", line))

    def _stamp(self, part: str) -> None:
        stamps = self._checkout.state / STAMPS
        with locked(self._checkout.state / f"{STAMPS}.lock"):
            known = json.loads(stamps.read_text()) if stamps.exists() else {}
            text = json.dumps({**known, part: _key(self._checkout, part)}, indent=2) + "\n"
            replace(stamps, lambda new: new.write_text(text))
