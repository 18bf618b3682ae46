"""Preview a stack with the policy pack, and have all that the engine tells as events."""

import subprocess
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from nodestack.automation.checkout import Checkout
from nodestack.automation.engine import environment, pulumi_binary
from nodestack.errors import NodestackError


@dataclass(frozen=True)
class Previewed:
    """What came of a preview.

    Attributes:
        events: Lines of the engine's log, JSON each.
        deployed: Whether the stack is in the backend; where not, it was held against an empty state.
        status: The engine's exit status.
    """

    events: tuple[str, ...]
    deployed: bool
    status: int


def preview(checkout: Checkout, stack: str, pack: Path, stack_file: Path) -> Previewed:
    """Preview a stack and change nothing; of one that is in no state yet, against an empty one.

    Args:
        checkout: Where it is declared.
        stack: Its name.
        pack: Directory of the policy pack.
        stack_file: The engine's configuration of the stack.

    Raises:
        NodestackError: The engine could not even begin; the message carries its own last line.
    """
    given = environment(checkout.root)
    with TemporaryDirectory(prefix="nodestack-preview-") as private:
        if _is_there(checkout, stack, given):
            events, status = _run(checkout, stack, pack, given, Path(private))
            return Previewed(events, deployed=True, status=status)
        (Path(private) / "backend").mkdir()
        empty = given | {"PULUMI_BACKEND_URL": f"file://{private}/backend"}
        before = stack_file.read_bytes()
        try:
            _ask(checkout, ("stack", "init", stack), empty)
            events, status = _run(checkout, stack, pack, empty, Path(private))
        finally:
            stack_file.write_bytes(before)
        return Previewed(events, deployed=False, status=status)


def _run(
    checkout: Checkout, stack: str, pack: Path, given: dict[str, str], private: Path
) -> tuple[tuple[str, ...], int]:
    log = private / "events.jsonl"
    command = ["preview", "--stack", stack, "--event-log", str(log), "--policy-pack", str(pack), "--non-interactive"]
    # The engine takes the log's flag only where its commands for debugging are on.
    done = _call(checkout, command, given | {"PULUMI_DEBUG_COMMANDS": "1"})
    if not log.is_file():
        raise NodestackError(f"the preview of stack {stack} did not begin: {_last_line(done)}")
    return tuple(log.read_text(encoding="utf-8").splitlines()), done.returncode


def _is_there(checkout: Checkout, stack: str, given: dict[str, str]) -> bool:
    done = _call(checkout, ["stack", "export", "--stack", stack, "--non-interactive"], given)
    if done.returncode and f"no stack named '{stack}'" not in done.stderr:
        raise NodestackError(f"the state of stack {stack} cannot be read: {_last_line(done)}")
    return not done.returncode


def _ask(checkout: Checkout, command: tuple[str, ...], given: dict[str, str]) -> None:
    done = _call(checkout, [*command, "--non-interactive"], given)
    if done.returncode:
        raise NodestackError(f"pulumi {' '.join(command)} failed: {_last_line(done)}")


def _call(checkout: Checkout, command: list[str], given: dict[str, str]) -> subprocess.CompletedProcess[str]:
    argv = [str(pulumi_binary(checkout.root)), *command]
    return subprocess.run(argv, cwd=checkout.root, env=given, capture_output=True, text=True, check=False)


def _last_line(done: subprocess.CompletedProcess[str]) -> str:
    lines = [line for line in done.stderr.splitlines() if line.strip()]
    return lines[-1] if lines else "no message"
