"""Preview a stack with the policy pack, and have all that the engine tells as events."""

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from nodestack.automation import backend
from nodestack.automation.checkout import Checkout
from nodestack.automation.engine_call import Engine, last_line
from nodestack.errors import NodestackError

# The engine takes the flag of its event log only where its commands for debugging are on.
_DEBUGGING = {"PULUMI_DEBUG_COMMANDS": "1"}


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
    with TemporaryDirectory(prefix="nodestack-preview-") as private:
        log = Path(private) / "events.jsonl"
        if backend.exists(checkout, stack):
            events, status = _run(Engine(checkout, stack, _DEBUGGING), pack, log)
            return Previewed(events, deployed=True, status=status)
        (Path(private) / "backend").mkdir()
        empty = Engine(checkout, stack, _DEBUGGING | {"PULUMI_BACKEND_URL": f"file://{private}/backend"})
        before = stack_file.read_bytes()
        try:
            empty.ask("stack", "init", "--non-interactive")
            events, status = _run(empty, pack, log)
        finally:
            stack_file.write_bytes(before)
        return Previewed(events, deployed=False, status=status)


def _run(engine: Engine, pack: Path, log: Path) -> tuple[tuple[str, ...], int]:
    done = engine.run("preview", "--event-log", str(log), "--policy-pack", str(pack), "--non-interactive")
    if not log.is_file():
        raise NodestackError(f"the preview of stack {engine.stack} did not begin: {last_line(done)}")
    return tuple(log.read_text(encoding="utf-8").splitlines()), done.returncode
