"""`nodestack verify`: the gates run again on a stack's node, at any time; nothing else on it is changed."""

import argparse
import json
import os
import sys
import threading
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from nodestack.automation import configured, simulation
from nodestack.automation.checkout import find
from nodestack.errors import ProvisioningError
from nodestack.provisioning import playbook, reach
from nodestack.provisioning.report import Check, Results
from nodestack.rendering.gates_table import Gate, GateCheck, gates_table, summary
from nodestack.rendering.terminal import show

GATES = ("fabric", "smoke")
"""In the order in which verify.yml has them: one that fails keeps those after it from running."""

_STATUS_TIMEOUT_S = 30.0


class Verified(BaseModel):
    """What came of it.

    Attributes:
        stack: Whose node was verified.
        node: The cloud's id of the machine.
        at: When it was begun, in UTC.
        passed: Whether every gate passed.
        problem: What failed first, or what kept the gates from running; empty where all is well.
        seconds: How long it took.
        gates: Each gate's verdict.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    stack: str
    node: str
    at: str
    passed: bool
    problem: str
    seconds: float
    gates: tuple[Gate, ...]


def run(options: argparse.Namespace) -> int:
    """Print the verdict as a table or as JSON; 0 when every gate passed, 1 when one did not.

    Raises:
        NodestackError: The stack has no node that could be verified, or it cannot be reached.
    """
    checkout = find(Path.cwd())
    simulation.start(checkout, options.stack)
    os.environ |= simulation.credentials(checkout, options.stack)
    verdict = verify(options.stack, configured.find(checkout, options.stack))
    if options.json:
        print(json.dumps(verdict.model_dump(mode="json"), indent=2))
    else:
        state = "every check passed" if verdict.passed else verdict.problem
        show(gates_table(f"stack {verdict.stack}, node {verdict.node}: {state}", verdict.gates))
        print(f"\n{summary(verdict.gates)} in {verdict.seconds:.0f} s")
    return int(not verdict.passed)


def verify(stack: str, found: configured.Configured) -> Verified:
    """Run verify.yml against a configured machine and return what its gates found."""
    begun, started = datetime.now(UTC), time.monotonic()
    failure: ProvisioningError | None = None
    try:
        results = playbook.apply(
            found.connection,
            found.document,
            found.secrets,
            log_directory=found.logs,
            progress=Progress(),
            cancelled=threading.Event(),
            playbook="verify.yml",
        ).status.results
    except ProvisioningError as error:
        if error.role not in GATES:
            raise
        failure = error
        with reach.session(found.connection) as opened:
            results = reach.required_status(opened, _STATUS_TIMEOUT_S).results
    return Verified(
        stack=stack,
        node=found.args.node_id,
        at=begun.strftime("%Y-%m-%dT%H:%M:%SZ"),
        passed=failure is None,
        problem=str(failure or ""),
        seconds=round(time.monotonic() - started, 1),
        gates=gates_of(results, failure.role if failure else ""),
    )


def gates_of(results: Results, failed: str) -> tuple[Gate, ...]:
    """Return each gate's verdict; what comes after the one that failed is of an earlier run, and left out.

    Args:
        results: What the node says of its last verdicts.
        failed: The gate that failed, "" where none did.
    """
    last = GATES.index(failed) if failed else len(GATES)
    verdicts = {"fabric": results.fabric, "smoke": results.smoke}
    return tuple(
        Gate(gate=name, ran=number <= last, checks=_checks(result.checks) if result and number <= last else ())
        for number, (name, result) in enumerate(verdicts.items())
    )


class Progress:
    """Shows on standard error what is going on, a line for each thing."""

    def __init__(self) -> None:
        self._line = ""

    def __call__(self, line: str) -> None:
        """Take the next line."""
        if line != self._line:
            print(line, file=sys.stderr, flush=True)
        self._line = line


def _checks(checks: Sequence[Check]) -> tuple[GateCheck, ...]:
    return tuple(GateCheck(**check.model_dump()) for check in checks)
