"""A simulated account that outlives its server: what it holds is written down at each event, and found again."""

import dataclasses
import os
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from pydantic import AwareDatetime

from nodestack.clouds.accounts import Frozen
from nodestack.clouds.local.records import read, started_at, write
from nodestack.clouds.offers import Market
from nodestack.clouds.simulated.ledger import Event, Ledger, What
from nodestack.clouds.simulated.things import Disk, Machine, Rules
from nodestack.clouds.simulated.world import World

_PRIVATE = 0o600


class ServerRecord(Frozen):
    """Which process serves an account.

    Attributes:
        pid: Its number on this host.
        start_ticks: When it started, so that its number is never mistaken for another process's.
        base_url: Where it answers.
    """

    pid: int
    start_ticks: int
    base_url: str


@dataclass(frozen=True)
class Home:
    """The directory of one simulated account."""

    directory: Path

    @property
    def machines(self) -> Path:
        """The local cloud's account directory behind it."""
        return self.directory / "machines"

    @property
    def log(self) -> Path:
        """Where the server writes."""
        return self.directory / "server.log"

    def server(self) -> ServerRecord | None:
        """Return the server that lives; None where there is none."""
        record = read(self.directory / "server.json", ServerRecord)
        return record if record is not None and started_at(record.pid) == record.start_ticks else None

    def write_server(self, base_url: str) -> None:
        """Write down that this process is the server."""
        pid = os.getpid()
        record = ServerRecord(pid=pid, start_ticks=started_at(pid) or 0, base_url=base_url)
        write(self.directory / "server.json", record)

    def key(self, name: str) -> str:
        """Return one of the account's keys, made at first and kept in a file of mode 0600."""
        path = self.directory / name
        if not path.exists():
            self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_private(path, f"simulated_{secrets.token_urlsafe(24)}")
        return path.read_text(encoding="utf-8")


def write_private(path: Path, text: str) -> None:
    """Write a file of mode 0600 that is there whole or not at all."""
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, _PRIVATE)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    unfinished.replace(path)


class Snapshot(Frozen):
    """What a world has to know to go on; what cloud-init wrote is left out, since a host key is among it.

    Attributes:
        machines: Every machine that was ordered.
        disks: Every volume.
        events: The ledger.
        stock: Offer, region, market, and how many there are left.
        rules: How the cloud behaves.
        balance_usd: Money that was paid in.
        rented_usd: Money that was spent.
        billed_until: Until when.
        moved_s: How far the clock was moved.
    """

    machines: tuple[Machine, ...]
    disks: tuple[Disk, ...]
    events: tuple[Event, ...]
    stock: tuple[tuple[str, str, Market, int], ...]
    rules: Rules
    balance_usd: float
    rented_usd: float
    billed_until: AwareDatetime
    moved_s: float


class _KeptLedger(Ledger):
    def __init__(self, events: list[Event], changed: Callable[[], None]) -> None:
        super().__init__()
        self.events = events
        self._changed = changed

    def write(self, at: datetime, what: What, thing_id: str, name: str) -> None:
        super().write(at, what, thing_id, name)
        self._changed()


class KeptWorld(World):
    """A world that writes itself down at each event of its ledger.

    Machines of a local cloud live on without the server, so one that starts again finds them, and what ended
    meanwhile is found to have ended.
    """

    def keep_in(self, file: Path) -> None:
        """Go on with what the file holds, where there is one, and write every event from now on."""
        kept = read(file, Snapshot)
        if kept is not None:
            self._go_on_with(kept)
        self.ledger = _KeptLedger(self.ledger.events, lambda: write(file, self._snapshot()))

    def _snapshot(self) -> Snapshot:
        return Snapshot(
            machines=tuple(
                dataclasses.replace(one, order=one.order.model_copy(update={"files": {}}))
                for one in self.machines.values()
            ),
            disks=tuple(self.disks.values()),
            events=tuple(self.ledger.events),
            stock=tuple((*key, count) for key, count in self.stock.items()),
            rules=self.rules,
            balance_usd=self._balance_usd,
            rented_usd=self._rented_usd,
            billed_until=self._billed_until,
            moved_s=self._moved.total_seconds(),
        )

    def _go_on_with(self, kept: Snapshot) -> None:
        self.machines = {one.machine_id: one for one in kept.machines}
        self.disks = {one.disk_id: one for one in kept.disks}
        self.ledger.events = list(kept.events)
        self.stock |= {(offer_id, region, market): count for offer_id, region, market, count in kept.stock}
        self.rules = kept.rules
        self._balance_usd, self._rented_usd = kept.balance_usd, kept.rented_usd
        self._billed_until, self._moved = kept.billed_until, timedelta(seconds=kept.moved_s)
