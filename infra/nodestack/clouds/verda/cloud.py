"""A Verda project as a cloud: instances with a weights volume that stays and an OS volume that goes with them."""

from collections.abc import Iterable
from contextlib import suppress

from nodestack.clouds.base import (
    Balance,
    Node,
    NodeRequest,
    NodeStatus,
    Offer,
    OfferQuery,
    Progress,
    VerdaAccount,
    Volume,
    VolumeRequest,
)
from nodestack.clouds.verda import api, orders, translate
from nodestack.clouds.verda.client import VerdaClient
from nodestack.clouds.verda.script import startup_script
from nodestack.errors import AmbiguousError, CloudError, DuplicateName, InsufficientBalance, VolumeInUse

_POLL_S = 5.0
_LOOPBACK_POLL_S = 0.1


class VerdaCloud:
    """One Verda project; see `Cloud` for what each method promises.

    Verda keeps no name unique: hostnames and volume names are, because nothing is made before all of them were read,
    several times over while none is there.
    The OS volume of a node has the node's name with `-os`; it is deleted with the node by its id, and what a lost node
    left behind is deleted before the next one of its name is ordered. No other volume is ever deleted with a node.
    """

    unique_names = False

    def __init__(self, account: VerdaAccount, client: VerdaClient | None = None) -> None:
        self._client = client or VerdaClient(account)
        self.poll_s = _LOOPBACK_POLL_S if account.base_url.startswith("http://") else _POLL_S

    def preflight(self) -> None:
        """Raise a CloudError when the credentials are missing or wrong, InsufficientBalance when nothing is left."""
        left = self._client.balance()
        if left.amount <= 0:
            raise InsufficientBalance(
                f"the Verda project has {left.amount:.2f} {left.currency.upper()} left, nothing can be "
                "ordered: top it up"
            )

    def offers(self, query: OfferQuery) -> tuple[Offer, ...]:
        """Return every instance type that matches, in each location."""
        types = self._client.instance_types()
        return translate.offers(types, self._client.availability(is_spot=query.market == "spot"), query)

    def balance(self) -> Balance | None:
        """Return the project's balance; None where it is kept in another currency than USD and cannot be compared."""
        found = self._client.balance()
        return Balance(usd=float(found.amount), holder="project") if found.currency.lower() == "usd" else None

    def find_volume(self, name: str) -> Volume | None:
        """Return the volume of this name; OS volumes and what is in the trash do not count.

        Raises:
            AmbiguousError: It is being deleted.
        """
        named = [volume for volume in self._client.volumes() if volume.name == name and not volume.is_os_volume]
        found = [volume for volume in named if translate.volume_exists(volume)]
        _require_one("volumes", name, [volume.id for volume in found])
        if found and translate.volume_is_leaving(found[0]):
            raise AmbiguousError(f"volume {name} ({found[0].id}) is being deleted: run again once it is gone")
        return translate.volume(found[0]) if found else None

    def list_volumes(self) -> tuple[Volume, ...]:
        """Return every volume, OS volumes included: they cost money, too."""
        return tuple(translate.volume(found) for found in self._client.volumes() if translate.volume_exists(found))

    def create_volume(self, request: VolumeRequest) -> Volume:
        """Make an empty NVMe volume, attached to nothing; Verda wants it to exist before the node that uses it."""
        if not request.region:
            raise CloudError(f"volume {request.name} needs a region, e.g. FIN-01: only nodes of that one can use it")
        order = orders.NewVolume(name=request.name, size=request.size_gib, location_code=request.region)
        made = self._client.create_volume(order)
        # Not read back: a failure to read would lose the id of what bills from now on.
        return Volume(
            volume_id=made,
            name=request.name,
            size_gib=request.size_gib,
            provider=translate.PROVIDER,
            region=request.region,
        )

    def read_volume(self, volume_id: str) -> Volume | None:
        """Return the volume with this id."""
        found = self._client.volume(volume_id)
        return translate.volume(found) if found is not None and translate.volume_exists(found) else None

    def grow_volume(self, volume_id: str, size_gib: int) -> Volume:
        """Make a volume larger.

        Raises:
            VolumeInUse: Verda refuses while a node holds it.
            AmbiguousError: Verda accepted, and does not show it yet.
        """
        self._change(orders.VolumeAction(id=volume_id, action="resize", size=size_gib))
        grown = self.read_volume(volume_id)
        if grown is None or grown.size_gib < size_gib:
            raise AmbiguousError(
                f"volume {volume_id} was to grow to {size_gib} GiB, Verda does not show it yet: run again"
            )
        return grown

    def attach_volume(self, node_id: str, volume_id: str) -> None:
        """Attach a volume to a node that is shut down; a new node gets its volume when it is ordered.

        Raises:
            VolumeInUse: Another node has it, or this one is not shut down.
        """
        volume = self._existing(volume_id)
        if volume.attached_to == node_id:
            return
        if volume.attached_to is not None:
            raise VolumeInUse(
                f"volume {volume.name} is attached to instance {volume.attached_to}: delete that one first"
            )
        self._change(orders.VolumeAction(id=volume_id, action="attach", instance_id=node_id))

    def detach_volume(self, node_id: str, volume_id: str) -> None:
        """Detach a volume from a node that is shut down; deleting a node detaches it, too.

        Raises:
            VolumeInUse: The node is not shut down.
        """
        volume = self._client.volume(volume_id)
        if volume is not None and volume.instance_id == node_id:
            self._change(orders.VolumeAction(id=volume_id, action="detach", instance_id=node_id))

    def delete_volume(self, volume_id: str) -> None:
        """Delete a volume for good, past the trash, where it would count towards the quota.

        Raises:
            VolumeInUse: A node has it.
        """
        volume = self._client.volume(volume_id)
        if volume is None or not translate.volume_exists(volume) or translate.volume_is_leaving(volume):
            return
        if volume.instance_id:
            raise VolumeInUse(
                f"volume {volume.name} is attached to instance {volume.instance_id}: delete that one first"
            )
        self._change(orders.VolumeAction(id=volume_id, action="delete", is_permanent=True))

    def find_node(self, name: str) -> Node | None:
        """Return the instance of this hostname; those that ended do not count, a hostname is free again then.

        Raises:
            AmbiguousError: Its status or its GPUs are not told, and whether to keep it hangs on them.
        """
        named = [translate.node(found) for found in self._client.instances() if found.hostname == name]
        nodes = [node for node in named if node.status is not NodeStatus.TERMINATED]
        _require_one("instances", name, [node.node_id for node in nodes])
        for node in nodes:
            if not (node.gpu and node.gpu_count):
                # Taken for another machine than asked for, it would be deleted.
                raise AmbiguousError(f"Verda does not tell which GPUs instance {node.node_id} ({name}) has: run again")
        return nodes[0] if nodes else None

    def list_nodes(self) -> tuple[Node, ...]:
        """Return every instance that did not end."""
        nodes = (translate.node(found) for found in self._client.instances())
        return tuple(node for node in nodes if node.status is not NodeStatus.TERMINATED)

    def create_node(self, request: NodeRequest, progress: Progress) -> Node:
        """Order an instance; it is BOOTING on return, and its id is all that Verda told of it.

        Raises:
            OutOfStock: The location has none left.
            InsufficientBalance: The project cannot pay.
            CloudError: Refused, or nothing was chosen that could be ordered.
            AmbiguousError: Whether it was ordered is unknown: it is found again by its name.
        """
        offer = orders.orderable(request)
        script_id, key_id = self._prepare(request)
        progress(
            f"ordering {offer.gpu_count} GPUs ({offer.gpu}) in {offer.region} at ${offer.usd_per_hour:.2f} an hour"
        )
        try:
            made = self._client.create_instance(orders.of_node(request, offer, script_id, key_id))
        except AmbiguousError:
            raise
        except CloudError:
            self._forget_script(script_id)
            raise
        return Node(
            node_id=made,
            identity=made,
            name=request.name,
            shape=request.shape,
            status=NodeStatus.BOOTING,
            address="",
            ssh_port=api.SSH_PORT,
            ssh_user=api.SSH_USER,
            volume_id=request.volume_id,
            volume_device="",
            gpu=offer.gpu,
            gpu_count=offer.gpu_count,
            region=offer.region,
            market=offer.market,
            usd_per_hour=offer.usd_per_hour,
        )

    def read_node(self, node_id: str) -> Node | None:
        """Return the instance with this id."""
        found = self._client.instance(node_id)
        return None if found is None else translate.node(found)

    def delete_node(self, node_id: str) -> None:
        """Delete an instance and its OS volume; every other volume is detached and stays."""
        instance = self._client.instance(node_id)
        if instance is None:
            return
        status, _ = translate.node_status(instance)
        if instance.status != api.InstanceStatus.DELETING and status is not NodeStatus.TERMINATED:
            going = [volume for volume in self._client.volumes() if _is_os_volume_of(volume, instance)]
            self._client.delete_instance(node_id, tuple(volume.id for volume in going))
        if status is NodeStatus.TERMINATED:
            self._clear_remains(instance.hostname)
        elif instance.startup_script_id:
            self._forget_script(instance.startup_script_id)

    def _prepare(self, request: NodeRequest) -> tuple[str, str]:
        """Return a startup script and an SSH key for a node; neither bills."""
        with suppress(AmbiguousError):
            return self._script_and_key(request)
        # The second attempt clears away what may have come of the first.
        try:
            return self._script_and_key(request)
        except AmbiguousError as unclear:
            raise CloudError(f"{unclear}. Nothing was ordered: run again") from unclear

    def _script_and_key(self, request: NodeRequest) -> tuple[str, str]:
        self._clear_remains(request.name)
        script = startup_script(request.ssh_host_private_key)
        return self._client.create_script(request.name, script), self._ssh_key(request)

    def _ssh_key(self, request: NodeRequest) -> str:
        wanted = request.ssh_public_key.split()[:2]
        for known in self._client.ssh_keys():
            if known.key.split()[:2] == wanted:
                return known.id
        return self._client.create_ssh_key(request.name, request.ssh_public_key)

    def _clear_remains(self, name: str) -> None:
        """Delete what lost nodes of this name left: OS volumes that bill, scripts that hold a host key."""
        for volume in self._client.volumes():
            left = volume.is_os_volume and volume.name == orders.os_volume_name(name) and not volume.instance_id
            if left and translate.volume_exists(volume) and not translate.volume_is_leaving(volume):
                self._client.act_on_volume(orders.VolumeAction(id=volume.id, action="delete", is_permanent=True))
        for script in self._client.scripts():
            if script.name == name:
                self._client.delete_script(script.id)

    def _forget_script(self, script_id: str) -> None:
        try:
            self._client.delete_script(script_id)
        except CloudError:
            # It bills nothing, and the next node of its name clears it away; the error at hand must not be hidden.
            return

    def _existing(self, volume_id: str) -> Volume:
        volume = self.read_volume(volume_id)
        if volume is None:
            raise CloudError(f"volume {volume_id} does not exist: run again to make it anew")
        return volume

    def _change(self, action: orders.VolumeAction) -> None:
        try:
            self._client.act_on_volume(action)
        except AmbiguousError:
            raise
        except CloudError as refused:
            volume = self._client.volume(action.id)
            holder = (volume.instance_id if volume is not None else "") or action.instance_id or ""
            if not holder:
                raise
            raise VolumeInUse(
                f"{refused}. Verda does not {action.action} the volume of instance {holder} while that runs: shut it "
                "down or delete it first"
            ) from refused


def _is_os_volume_of(volume: api.Volume, instance: api.Instance) -> bool:
    return volume.is_os_volume and (volume.id == instance.os_volume_id or volume.instance_id == instance.id)


def _require_one(what: str, name: str, ids: Iterable[str]) -> None:
    found = tuple(ids)
    if len(found) > 1:
        raise DuplicateName(
            f"there are {len(found)} {what} called {name} ({', '.join(found)}): delete all but the one that is meant, "
            "in Verda's console"
        )
