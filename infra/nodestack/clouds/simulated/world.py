"""The world behind a simulated cloud: its market, what an account holds, its money, and a clock tests can move."""

import secrets
import threading
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from nodestack.clouds.offers import Market, Offer
from nodestack.clouds.simulated.ledger import Ledger, Report, What
from nodestack.clouds.simulated.machines import Machines, MemoryMachines, Order
from nodestack.clouds.simulated.things import LIVING, Disk, Machine, Refused, Rules, State, Why

_HOUR_S = 3600.0


_ENDED_AS: dict[State, What] = {State.DELETED: "deleted", State.PREEMPTED: "preempted", State.FAILED: "failed"}


class World:
    """Everything one account of a simulated cloud holds, and the market it buys from.

    Args:
        market: What is sold, with how many there are of each.
        machines: Makes what is sold.
        balance_usd: Prepaid money in USD.
        rules: How the cloud behaves.
    """

    def __init__(
        self,
        market: Iterable[tuple[Offer, int]] = (),
        machines: Machines | None = None,
        balance_usd: float = 1000.0,
        rules: Rules | None = None,
    ) -> None:
        market = list(market)
        self.market = [offer for offer, _ in market]
        self.stock: dict[tuple[str, str, Market], int] = {
            (offer.offer_id, offer.region, offer.market): count for offer, count in market
        }
        self.rules = rules or Rules()
        self.machines: dict[str, Machine] = {}
        self.disks: dict[str, Disk] = {}
        self.ledger = Ledger()
        self.lock = threading.RLock()
        self._behind = machines or MemoryMachines()
        self._balance_usd = balance_usd
        self._moved = timedelta(0)
        self._rented_usd = 0.0
        self._billed_until = self.now()

    def now(self) -> datetime:
        """Return the simulated time."""
        return datetime.now(UTC) + self._moved

    def advance(self, seconds: float) -> None:
        """Move the clock forwards."""
        with self.lock:
            self._moved += timedelta(seconds=seconds)
            self.settle()

    @property
    def balance_usd(self) -> float:
        """Money left in USD."""
        with self.lock:
            self.settle()
            return self._balance_usd - self._rented_usd

    def pay_in(self, usd: float) -> None:
        """Add to the balance, or take from it."""
        with self.lock:
            self._balance_usd += usd

    def report(self) -> Report:
        """Return what tests count."""
        with self.lock:
            self.settle()
            return self.ledger.report(self._rented_usd)

    def settle(self) -> None:
        """Bring machines and bill up to now."""
        now = self.now()
        self.bill(now)
        for machine in self.machines.values():
            if machine.state in (State.DEPLOYING, State.RUNNING) and not self._behind.is_alive(machine.machine_id):
                self._end(machine, State.PREEMPTED)
            elif machine.state is State.DEPLOYING:
                machine.place = self._behind.place(machine.machine_id)
                waited_s = (now - machine.ordered_at).total_seconds()
                if waited_s >= self.rules.boot_s and self._behind.is_up(machine.machine_id):
                    machine.state = State.RUNNING
                    self.ledger.write(now, "running", machine.machine_id, machine.order.name)

    def bill(self, until: datetime) -> None:
        """Bring the bill up to a moment, right before what is rented changes then."""
        hours = max(0.0, (until - self._billed_until).total_seconds()) / _HOUR_S
        rate = sum(one.order.offer.usd_per_hour for one in self.machines.values() if one.state in LIVING)
        rate += sum(disk.size_gib for disk in self.disks.values()) * self.rules.volume_usd_per_gib_hour
        self._rented_usd += rate * hours
        self._billed_until = max(until, self._billed_until)

    def order(self, order: Order, *, unique_names: bool = True) -> Machine:
        """Sell a machine."""
        with self.lock:
            self.settle()
            key = (order.offer.offer_id, order.offer.region, order.offer.market)
            if unique_names and any(one.order.name == order.name for one in self.living()):
                raise Refused(Why.NAME_TAKEN)
            if self.balance_usd <= 0:
                raise Refused(Why.INSUFFICIENT_BALANCE)
            if self.stock.get(key, 0) <= 0:
                raise Refused(Why.OUT_OF_STOCK)
            for disk_id in order.disk_ids:
                self._require_near(self.disk(disk_id), order.offer)
            if self.rules.drop_cloud_init:
                order = order.model_copy(update={"files": {}})
            machine = Machine(
                secrets.token_hex(12), order, State.DEPLOYING, self.now(), None, self.rules.lists_lag_calls
            )
            self._behind.start(machine.machine_id, order)
            machine.place = self._behind.place(machine.machine_id)
            # Billed from here: starting a real machine took its time.
            machine.ordered_at = self.now()
            self.bill(machine.ordered_at)
            self.stock[key] -= 1
            self.machines[machine.machine_id] = machine
            self.ledger.write(machine.ordered_at, "ordered", machine.machine_id, order.name)
            if self.rules.attach_at_creation:
                for disk_id in order.disk_ids:
                    self._attach(self.disk(disk_id), machine)
            return machine

    def machine(self, machine_id: str) -> Machine:
        """Return a machine that was ever ordered."""
        with self.lock:
            self.settle()
            if machine_id not in self.machines:
                raise Refused(Why.NOT_FOUND)
            return self.machines[machine_id]

    def living(self) -> list[Machine]:
        """Return all machines that exist."""
        return [one for one in self.machines.values() if one.state in LIVING]

    def listed_machines(self) -> list[Machine]:
        """Return what a listing shows: everything ever ordered but what is too new for it."""
        with self.lock:
            self.settle()
            return [one for one in self.machines.values() if _is_shown(one)]

    def listed_disks(self) -> list[Disk]:
        """Return what a listing shows of the volumes."""
        with self.lock:
            self.settle()
            return [one for one in self.disks.values() if _is_shown(one)]

    def remaining_minutes(self, machine_id: str) -> int:
        """Return for how long a machine cannot be deleted yet, in whole minutes, rounded up."""
        age_minutes = (self.now() - self.machine(machine_id).ordered_at).total_seconds() / 60
        return max(0, -int(-(self.rules.minimum_runtime_minutes - age_minutes) // 1))

    def delete(self, machine_id: str) -> None:
        """Delete a machine; its volumes stay."""
        with self.lock:
            machine = self.machine(machine_id)
            if machine.state not in LIVING:
                raise Refused(Why.ENDED)
            remaining = self.remaining_minutes(machine_id)
            if remaining > 0:
                raise Refused(Why.MINIMUM_RUNTIME, remaining_minutes=remaining)
            self._behind.end(machine_id)
            self._end(machine, State.DELETED)

    def preempt(self, machine_id: str) -> None:
        """Take a machine back as a spot market does: without notice."""
        self._force(machine_id, State.PREEMPTED)

    def fail(self, machine_id: str) -> None:
        """Have a machine never come up."""
        self._force(machine_id, State.FAILED)

    def stop(self, machine_id: str) -> None:
        """Switch a machine off; it is still billed."""
        with self.lock:
            machine = self.machine(machine_id)
            machine.state = State.STOPPED
            self.ledger.write(self.now(), "stopped", machine_id, machine.order.name)

    def vanish(self, machine_id: str) -> None:
        """Take a machine away so that not even its id is known any more."""
        with self.lock:
            self._force(machine_id, State.PREEMPTED)
            del self.machines[machine_id]

    def make_disk(self, name: str, size_gib: int, provider: str, region: str, *, unique_names: bool = True) -> Disk:
        """Sell a volume."""
        with self.lock:
            self.settle()
            if unique_names and any(disk.name == name for disk in self.disks.values()):
                raise Refused(Why.NAME_TAKEN)
            if self.balance_usd <= 0:
                raise Refused(Why.INSUFFICIENT_BALANCE)
            disk_id = secrets.token_hex(12)
            handle = f"computefilesystem-{disk_id[:8]}"
            self._behind.make_disk(disk_id, size_gib)
            disk = Disk(disk_id, handle, name, size_gib, provider, region, self.now())
            disk.hidden_from_lists = self.rules.lists_lag_calls
            self.add_disk(disk)
            return disk

    def add_disk(self, disk: Disk) -> None:
        """Rent a volume out that exists."""
        self.bill(disk.made_at)
        self.disks[disk.disk_id] = disk
        self.ledger.write(disk.made_at, "volume_made", disk.disk_id, disk.name)

    def disk(self, disk_id: str) -> Disk:
        """Return a volume by its id or its handle."""
        with self.lock:
            for disk in self.disks.values():
                if disk_id in (disk.disk_id, disk.handle):
                    return disk
            raise Refused(Why.NOT_FOUND)

    def attach(self, disk_id: str, machine_id: str) -> None:
        """Attach a volume to a running machine."""
        with self.lock:
            disk, machine = self.disk(disk_id), self.machine(machine_id)
            if disk.attached_to == machine_id:
                return
            if disk.attached_to is not None:
                raise Refused(Why.IN_USE)
            if machine.state is not State.RUNNING:
                raise Refused(Why.NOT_RUNNING)
            self._require_near(disk, machine.order.offer)
            self._attach(disk, machine)

    def detach(self, disk_id: str) -> None:
        """Detach a volume from whatever holds it."""
        with self.lock:
            disk = self.disk(disk_id)
            if disk.attached_to is not None:
                disk.attached_to = None
                self.ledger.write(self.now(), "volume_detached", disk.disk_id, disk.name)

    def grow_disk(self, disk_id: str, size_gib: int) -> Disk:
        """Make a volume larger."""
        with self.lock:
            disk = self.disk(disk_id)
            if size_gib < disk.size_gib:
                raise Refused(Why.INVALID, "a volume cannot shrink")
            self.settle()
            self._behind.grow_disk(disk.disk_id, size_gib)
            grown_at = self.now()
            self.bill(grown_at)
            disk.size_gib = size_gib
            self.ledger.write(grown_at, "volume_grown", disk.disk_id, disk.name)
            return disk

    def close(self) -> None:
        """End whatever stands behind machines and volumes: a world that ends leaves nothing on its host."""
        with self.lock:
            for machine in self.living():
                self._force(machine.machine_id, State.PREEMPTED)
            for disk in self.disks.values():
                self._behind.delete_disk(disk.disk_id)

    def delete_disk(self, disk_id: str) -> None:
        """Delete a volume that nothing holds."""
        with self.lock:
            self.settle()
            disk = self.disk(disk_id)
            if disk.attached_to is not None:
                raise Refused(Why.IN_USE)
            self._behind.delete_disk(disk.disk_id)
            gone_at = self.now()
            self.bill(gone_at)
            del self.disks[disk.disk_id]
            self.ledger.write(gone_at, "volume_deleted", disk.disk_id, disk.name)

    def _force(self, machine_id: str, state: State) -> None:
        with self.lock:
            machine = self.machine(machine_id)
            if machine.state in LIVING:
                self._behind.end(machine_id, at_once=True)
                self._end(machine, state)

    def _end(self, machine: Machine, state: State) -> None:
        ended_at = self.now()
        self.bill(ended_at)
        machine.state, machine.ended_at = state, ended_at
        offer = machine.order.offer
        self.stock[(offer.offer_id, offer.region, offer.market)] += 1
        self.ledger.write(ended_at, _ENDED_AS[state], machine.machine_id, machine.order.name)

    def _attach(self, disk: Disk, machine: Machine) -> None:
        disk.attached_to = machine.machine_id
        self.ledger.write(self.now(), "volume_attached", disk.disk_id, disk.name)

    def _require_near(self, disk: Disk, offer: Offer) -> None:
        if (disk.provider, disk.region) != (offer.provider, offer.region):
            raise Refused(Why.WRONG_REGION, f"{disk.region} is not {offer.region}")


def _is_shown(thing: Machine | Disk) -> bool:
    if thing.hidden_from_lists > 0:
        thing.hidden_from_lists -= 1
        return False
    return True
