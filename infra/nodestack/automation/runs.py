"""What a watch has done about a stack: the same up and down as by hand, one at a time, and questions to its node."""

import os
from collections.abc import Callable
from dataclasses import dataclass, field

from nodestack.automation import configured, fallback, holdings, recovery, simulation, stack, strays, turn
from nodestack.automation.checkout import Checkout
from nodestack.automation.configured import Configured
from nodestack.automation.watcher import Held
from nodestack.errors import NodestackError
from nodestack.lifecycle.journal import Step
from nodestack.provisioning import idle, reach
from nodestack.settings.watch import WatchSettings

_UNIT = "nodestack-vllm.service"
_STATUS_TIMEOUT_S = 30.0
_STOP_TIMEOUT_S = 7200.0
"""Longer than `serving.shutdown_timeout_s` may be, for the gateway's part and the engine's; the unit has its end."""


@dataclass(frozen=True)
class StackRuns:
    """Implements `nodestack.automation.watcher.Runs` for a stack of a checkout.

    Attributes:
        checkout: Where it is declared.
        stack: Its name.
        terms: What it allows.
        port: TCP port of its gateway.
        tell: Takes a line about what is done.
    """

    checkout: Checkout
    stack: str
    terms: WatchSettings
    port: int
    tell: Callable[[str], None]
    _found: dict[str, Configured] = field(default_factory=dict)

    def at_work(self) -> str:
        """Return which other run is at work on the stack, "" where none is."""
        holder = turn.holder(self.checkout, self.stack)
        if holder:
            return f"process {holder}"
        return "the engine's lock is held" if recovery.is_at_work(self.checkout, self.stack) else ""

    def held(self) -> Held:
        """Return what the stack's state knows."""
        known = {one.recorded.what: one.recorded.thing_id for one in holdings.holdings(self.checkout, [self.stack])}
        return Held(node_id=known.get("node", ""), volume_id=known.get("volume", ""))

    def up(self, step: Step) -> int:
        """Bring the stack up with the node that a step buys."""
        with turn.only_run(self.checkout, self.stack):
            stack.prepare(self.checkout, self.stack)
            self._recover()
            settings = fallback.settings_file(self.checkout, self.stack, step, self.terms)
            status = stack.up(self.checkout, self.stack, yes=True, settings=settings)
            if status == 0:
                stack.record_manifest(self.checkout, self.stack)
            return status

    def down(self) -> int:
        """Remove all of the stack but its volume."""
        with turn.only_run(self.checkout, self.stack):
            self._recover()
            for line in strays.remove(self.checkout, self.stack):
                self.tell(f"recovered: {line}")
            return stack.down(self.checkout, self.stack, yes=True)

    def drain(self, node_id: str) -> None:
        """Stop the engine of the stack's node: its unit lets running requests finish first.

        Raises:
            NodestackError: The node cannot be reached, or was never configured.
        """
        with reach.session(self._configured(node_id).connection) as opened:
            told = reach.status_of(opened, _STATUS_TIMEOUT_S)
            engine = told.results.engine if told is not None else None
            opened.run(f"sudo -n systemctl stop {engine.unit if engine is not None else _UNIT}", _STOP_TIMEOUT_S)

    def idle_s(self, node_id: str) -> float | None:
        """Return for how long no client asked the node anything, None where it does not say."""
        try:
            return idle.idle_s(self._configured(node_id).connection, self.port)
        except NodestackError:
            return None

    def _configured(self, node_id: str) -> Configured:
        # Asking the engine for it takes seconds, and a machine's way in does not change.
        if node_id not in self._found:
            self._found.clear()
            self._found[node_id] = configured.find(self.checkout, self.stack)
        return self._found[node_id]

    def _recover(self) -> None:
        simulation.start(self.checkout, self.stack)
        os.environ |= simulation.credentials(self.checkout, self.stack)
        for line in recovery.recover(self.checkout, self.stack):
            self.tell(f"recovered: {line}")
