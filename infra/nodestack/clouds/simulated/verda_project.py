"""What one project of a simulated Verda holds: instances with their OS volumes, volumes, keys, scripts, tokens."""

import re
import secrets
from datetime import datetime, timedelta
from pathlib import Path

import yaml

from nodestack.clouds.offers import Market, Offer
from nodestack.clouds.simulated import verda_words as words
from nodestack.clouds.simulated.machines import Order
from nodestack.clouds.simulated.things import LIVING, Disk, Machine, Refused, State, Why
from nodestack.clouds.simulated.world import World

_FILE = Path(__file__).with_name("verda.yaml")
_MARKETS: tuple[Market, ...] = ("on_demand", "spot")
_HEREDOC = re.compile(r"cat >(\S+?)(?:\.new)? <<'END'\n(.*?\n)END\n", re.DOTALL)


def market() -> list[tuple[Offer, int]]:
    """Return the standard market: each type in each location, on demand and as a spot instance, with its stock."""
    told = yaml.safe_load(_FILE.read_text())
    return [
        (
            Offer(
                offer_id=kind["name"],
                provider="verda",
                region=location,
                gpu=kind["gpu"],
                gpu_count=kind["gpu_count"],
                interconnect="SXM5",
                market=sold,
                usd_per_hour=kind[sold],
                images=told["images"],
            ),
            told["stock"],
        )
        for kind in told["types"]
        for location in told["locations"]
        for sold in _MARKETS
    ]


class Project:
    """One project of the simulated Verda.

    Args:
        world: What it sells and holds.
        client_id: The id that may sign in.
        client_secret: Its secret.
        token_s: Simulated seconds that a token is good for.
        spot_word: The one spelling of the availability filter that is understood.
        preempted_leave_the_list: Whether a preempted instance is gone at once, rather than discontinued.
        currency: What prices and balance are in.
        deleting_s: Simulated seconds that an instance is being deleted, still holding its volumes.
    """

    def __init__(  # noqa: PLR0913 - each by name
        self,
        world: World,
        client_id: str,
        client_secret: str,
        *,
        token_s: float = 3600,
        spot_word: str = "is_spot",
        preempted_leave_the_list: bool = False,
        currency: str = "usd",
        deleting_s: float = 0,
    ) -> None:
        self.world = world
        self.credentials = (client_id, client_secret)
        self.token_s, self.spot_word, self.currency = token_s, spot_word, currency
        self.preempted_leave_the_list, self.deleting_s = preempted_leave_the_list, deleting_s
        self.tokens: dict[str, datetime] = {}
        self.keys: dict[str, tuple[str, str]] = {}
        self.scripts: dict[str, tuple[str, str]] = {}
        self.trash: set[str] = set()
        self.acts: list[words.InstanceAct] = []
        self._os_disks: dict[str, str] = {}
        self._scripts_of: dict[str, str | None] = {}
        self._policies: dict[str, str] = {}
        self._removed: set[str] = set()
        self._leaving: dict[str, tuple[datetime, words.InstanceAct]] = {}

    def shown(self, machine: Machine) -> bool:
        """Return whether an instance is still told of."""
        gone = machine.state is State.PREEMPTED and self.preempted_leave_the_list
        return machine.machine_id not in self._removed and machine.state is not State.DELETED and not gone

    def machine(self, machine_id: str) -> Machine:
        """Return an instance that is still told of."""
        found = self.world.machine(machine_id)
        if not self.shown(found):
            raise Refused(Why.NOT_FOUND)
        return found

    def disk(self, disk_id: str) -> Disk:
        """Return a volume that is not in the trash."""
        if disk_id in self.trash:
            raise Refused(Why.NOT_FOUND)
        return self.world.disk(disk_id)

    def holder(self, disk: Disk) -> Machine | None:
        """Return the instance that holds a volume."""
        found = self.world.machines.get(disk.attached_to or "")
        holds = found is not None and self.shown(found) and (found.state in LIVING or found.state is State.FAILED)
        return found if holds else None

    def has(self, offer: Offer) -> bool:
        """Return whether any is left of what an offer sells."""
        return self.world.stock.get((offer.offer_id, offer.region, offer.market), 0) > 0

    def instance_json(self, machine: Machine) -> dict[str, object]:
        """Return an instance as it is told of."""
        disks = self.world.disks.values()
        held = [disk.disk_id for disk in disks if self.holder(disk) is machine]
        os_disk_id = self._os_disks.get(machine.machine_id, "")
        return words.instance_json(machine, held, os_disk_id, self._scripts_of.get(machine.machine_id))

    def volume_json(self, disk: Disk) -> dict[str, object]:
        """Return a volume as it is told of."""
        usd = disk.size_gib * self.world.rules.volume_usd_per_gib_hour
        is_os = disk.disk_id in self._os_disks.values()
        return words.volume_json(disk, self.holder(disk), is_os_volume=is_os, usd_per_hour=usd)

    def order(self, wanted: words.WantedInstance) -> Machine:
        """Sell an instance with its OS volume."""
        with self.world.lock:
            return self._order(wanted)

    def act(self, machine_id: str, act: words.InstanceAct) -> None:
        """Do something to an instance."""
        with self.world.lock:
            machine = self.machine(machine_id)
            if act.action == "delete":
                if self.deleting_s:
                    machine.shown_status = "deleting"
                    self._leaving[machine_id] = (self.world.now() + timedelta(seconds=self.deleting_s), act)
                else:
                    self._delete(machine, act)
            elif act.action == "shutdown":
                self.world.stop(machine_id)
            else:
                machine.state = State.DEPLOYING

    def act_on_volume(self, act: words.VolumeAct) -> None:
        """Do something to a volume, whose instance must be shut down for that."""
        with self.world.lock:
            disk = self.disk(act.id)
            holder = self.holder(disk)
            running = holder is not None and holder.state is not State.STOPPED
            require(not running, "the volume's instance must be shut down first")
            if act.action == "attach":
                machine = self.machine(act.instance_id or "")
                near = disk.region == machine.order.offer.region
                require(machine.state is State.STOPPED, "the instance must be shut down first")
                require(holder is None and near, "the volume cannot be attached there")
                self._attach(disk, machine)
            elif act.action == "detach":
                self.world.detach(disk.disk_id)
            elif act.action == "resize":
                self.world.grow_disk(disk.disk_id, act.size or 0)
            elif act.action == "delete":
                self.world.detach(disk.disk_id)
                self._drop(disk, for_good=act.is_permanent)

    def remember(self) -> None:
        """Keep what changed, where it is kept; called before each answer."""

    def settle(self) -> None:
        """Detach what lost instances held, and do with their OS volumes what their policy says."""
        with self.world.lock:
            self.world.settle()
            for machine_id, (until, act) in list(self._leaving.items()):
                if until <= self.world.now():
                    del self._leaving[machine_id]
                    self._delete(self.world.machine(machine_id), act)
            for disk in list(self.world.disks.values()):
                holder = self.world.machines.get(disk.attached_to or "")
                if disk.attached_to is None or (holder is not None and holder.state in {*LIVING, State.FAILED}):
                    continue
                self.world.detach(disk.disk_id)
                policy = self._policies.get(disk.disk_id, "keep_detached")
                if policy != "keep_detached":
                    self._drop(disk, for_good=policy == "delete_permanently")

    def _order(self, wanted: words.WantedInstance) -> Machine:
        offer = self._offer(wanted)
        require(wanted.is_spot == (wanted.contract == "SPOT"), "is_spot and contract contradict each other")
        policy = wanted.os_volume.on_spot_discontinue
        require(wanted.is_spot or policy is None, "on_spot_discontinue is only for spot instances")
        require(wanted.image in offer.images, f"image {wanted.image} is not supported by {offer.offer_id}")
        require(bool(wanted.ssh_key_ids) and all(one in self.keys for one in wanted.ssh_key_ids), "no such SSH key")
        script = wanted.startup_script_id
        require(script is None or script in self.scripts, "no such startup script")
        for disk in map(self.disk, wanted.existing_volumes):
            require(self.holder(disk) is None, f"volume {disk.disk_id} is not detached")
            require(disk.region == offer.region, f"volume {disk.disk_id} is in another location")
        machine = self.world.order(
            Order(
                name=wanted.hostname,
                offer=offer,
                image=wanted.image,
                ssh_public_key=self.keys[wanted.ssh_key_ids[0]][1],
                files=dict(_HEREDOC.findall(self.scripts[script][1])) if script else {},
                disk_ids=wanted.existing_volumes,
            ),
            unique_names=False,
        )
        boot = self._make_os_disk(wanted.os_volume, offer.region)
        self._os_disks[machine.machine_id] = boot.disk_id
        self._scripts_of[machine.machine_id] = script
        self._policies[boot.disk_id] = policy or "keep_detached"
        for disk in [boot, *map(self.world.disk, wanted.existing_volumes)]:
            if disk.attached_to != machine.machine_id:
                self._attach(disk, machine)
        return machine

    def _attach(self, disk: Disk, machine: Machine) -> None:
        disk.attached_to = machine.machine_id
        self.world.ledger.write(self.world.now(), "volume_attached", disk.disk_id, disk.name)

    def _delete(self, machine: Machine, act: words.InstanceAct) -> None:
        volume_ids = act.volume_ids or ()
        held = [disk for disk in self.world.disks.values() if disk.attached_to == machine.machine_id]
        require(set(volume_ids) <= {disk.disk_id for disk in held}, "a volume is not the instance's")
        if machine.state in LIVING:
            self.world.delete(machine.machine_id)
        self._removed.add(machine.machine_id)
        for disk in held:
            self.world.detach(disk.disk_id)
            if disk.disk_id in volume_ids:
                self._drop(disk, for_good=act.delete_permanently)

    def _drop(self, disk: Disk, *, for_good: bool) -> None:
        if not for_good:
            self.trash.add(disk.disk_id)
        else:
            self.world.delete_disk(disk.disk_id)

    def _make_os_disk(self, wanted: words.WantedOsVolume, region: str) -> Disk:
        # Nothing stands behind it: a machine of this host brings its own.
        disk_id = secrets.token_hex(12)
        disk = Disk(disk_id, disk_id, wanted.name, wanted.size, "verda", region, self.world.now())
        self.world.add_disk(disk)
        return disk

    def _offer(self, wanted: words.WantedInstance) -> Offer:
        sold = "spot" if wanted.is_spot else "on_demand"
        key = (wanted.instance_type, wanted.location_code, sold)
        for offer in self.world.market:
            if (offer.offer_id, offer.region, offer.market) == key:
                return offer
        raise Refused(Why.INVALID, f"invalid instance type {wanted.instance_type!r} or location")


def require(holds: bool, otherwise: str) -> None:
    """Refuse as invalid, saying why, what does not hold."""
    if not holds:
        raise Refused(Why.INVALID, otherwise)
