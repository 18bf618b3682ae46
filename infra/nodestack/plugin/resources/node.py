"""The Node resource: one machine with the volume attached; deleted before it is replaced."""

from datetime import UTC, datetime
from threading import Event

from pydantic import SecretStr

from nodestack.clouds.accounts import is_simulated
from nodestack.clouds.base import Account, Market, NodeRequest, NodeStatus, Progress, SshAccount
from nodestack.clouds.base import Node as CloudNode
from nodestack.errors import CloudError, Interrupted, WrongHostKey
from nodestack.lifecycle import nodes
from nodestack.lifecycle.pace import Pace
from nodestack.plugin.diff import Difference, changed_paths
from nodestack.plugin.properties import Properties
from nodestack.plugin.resources.base import Call, Made, Resource, Typed, dump
from nodestack.plugin.resources.purchase import PurchaseArgs

_NO_OTHER_MACHINE = frozenset(
    {
        # Where an account keeps its things, and which variables hold its keys.
        "account.directory",
        "account.api_key_variable",
        "account.client_id_variable",
        "account.client_secret_variable",
        "account.size_gib",
        # They say which machine is bought next; one that runs is kept.
        "region",
        "image",
        "maxUsdPerHour",
    }
)
# Their nodes get the host key by what runs late in a first boot of minutes; a simulated cloud's boot in seconds.
_LATE_HOST_KEYS = frozenset({"spheron", "verda"})
_LATE_S = 600.0
_SAME_MACHINE_ELSEWHERE = frozenset({"account.host", "account.port", "account.user"})


class NodeArgs(PurchaseArgs):
    """A node to be had.

    Attributes:
        name: Exact name in the account.
        shape: Name of the node shape in the catalogue.
        volume_id: The volume to attach.
        ssh_private_key: The key that may log in, and that the host's key is derived from.
        hardware_profile: Local cloud only: the recorded hardware that is replayed.
    """

    name: str
    shape: str
    volume_id: str
    ssh_private_key: SecretStr
    hardware_profile: str = ""


class NodeOutputs(Typed):
    """A node as it is.

    Attributes:
        node_id: The cloud's id.
        identity: Changes whenever the machine behind the name does.
        address: IP address that takes SSH; "" until known.
        ssh_port: TCP port of SSH.
        ssh_user: Login name.
        ssh_host_public_key: The one host key to accept.
        volume_device: Block device of the volume on the node; "" where only the node can tell.
        region: Where it stands; "" where the cloud has no regions.
        market: How it was sold.
        usd_per_hour: What its cloud bills in USD an hour; None where it does not say.
        created_at: When the cloud took the order (ISO 8601); "" where it does not say.
        found: Whether it was found by its name and has not shown this stack's host key yet: it may be another's.
        ready: Whether the node once ran and could be worked on; until then an update goes on waiting.
    """

    node_id: str = ""
    identity: str = ""
    address: str = ""
    ssh_port: int = 0
    ssh_user: str = ""
    ssh_host_public_key: str = ""
    volume_device: str = ""
    region: str = ""
    market: Market = "on_demand"
    usd_per_hour: float | None = None
    created_at: str = ""
    found: bool = False
    ready: bool = False


class Node(Resource[NodeArgs, NodeOutputs]):
    """Finds or makes, awaits and deletes a machine."""

    token = "nodestack:index:Node"  # noqa: S105 - a resource type, no secret
    args_type = NodeArgs
    outputs_type = NodeOutputs

    def diff(self, old_inputs: Properties, news: Properties, outputs: NodeOutputs) -> Difference:
        """Replace for whatever makes another machine, and for nothing that only says which one is bought next."""
        changed = [path for path in changed_paths(old_inputs, news) if path not in _NO_OTHER_MACHINE]
        return Difference(
            updates=tuple(path for path in changed if path in _SAME_MACHINE_ELSEWHERE),
            replaces=tuple(path for path in changed if path not in _SAME_MACHINE_ELSEWHERE),
            observed=() if outputs.ready else ("ready",),
        )

    def preview(self, news: Properties, outputs: NodeOutputs | None) -> Properties:
        """An update never makes another machine, and what depends on it must not be planned as if it did."""
        return super().preview(news, None) if outputs is None else dump(outputs)

    def create(self, args: NodeArgs, call: Call) -> Made[NodeOutputs]:
        """Find or make the node and wait until it can be worked on."""
        cloud = call.open_account(args.account)
        known: list[tuple[CloudNode, bool]] = []
        request = _request(args)

        def work() -> CloudNode:
            return nodes.ensure(
                cloud,
                request,
                wait=_wait(args, call),
                progress=call.progress,
                cancelled=call.cancelled,
                known=lambda node, ordered: known.append((node, ordered)),
                boot=Pace(timeout_s=_patience_s(call)),
                wish=args.machine(),
            )

        try:
            node = call.run(work)
        except Exception as error:
            if not known and isinstance(error, Interrupted):
                # Left behind in the middle of a request: what came of it must not be forgotten.
                left = call.find_left_behind(lambda: cloud.find_node(args.name))
                known += [(left, False)] if left is not None else []
            if not known:
                raise
            node, ordered = known[-1]
            if isinstance(error, WrongHostKey) and not ordered:
                # Another's: what is recorded here, the next destroy deletes.
                raise
            outputs = _outputs(node, _host_public_key(args), ready=False)
            return Made(node.node_id, outputs.model_copy(update={"found": not ordered}), error)
        return Made(node.node_id, _outputs(node, _host_public_key(args), ready=True))

    def read(self, resource_id: str, args: NodeArgs, outputs: NodeOutputs, call: Call) -> NodeOutputs | None:
        """Return the node as its cloud sees it; whether it answers is asked by its configuration."""
        node = nodes.observe(call.open_account(args.account), resource_id)
        if node is None:
            return None
        ready = outputs.ready and node.status is NodeStatus.RUNNING
        seen = _outputs(node, outputs.ssh_host_public_key or _host_public_key(args), ready=ready)
        return seen.model_copy(update={"found": outputs.found})

    def update(self, resource_id: str, args: NodeArgs, outputs: NodeOutputs, call: Call) -> Made[NodeOutputs]:
        """Go on waiting for a node that was not ready."""
        cloud = call.open_account(args.account)

        def work() -> CloudNode:
            node = nodes.observe(cloud, resource_id)
            if node is None:
                raise CloudError(f"node {args.name} vanished while it was updated: run again to make it anew")
            return nodes.await_known(
                cloud,
                node,
                ordered=not outputs.found,
                wait=_wait(args, call),
                progress=call.progress,
                cancelled=call.cancelled,
                boot=Pace(timeout_s=_patience_s(call)),
            )

        try:
            return Made(resource_id, _outputs(call.run(work), _host_public_key(args), ready=True))
        except Exception as error:
            return Made(resource_id, outputs.model_copy(update={"ready": False}), error)

    def delete(self, resource_id: str, args: NodeArgs, outputs: NodeOutputs, call: Call) -> None:
        """Delete the node; its volume stays."""
        cloud = call.open_account(args.account)
        call.run(lambda: nodes.delete_until_gone(cloud, resource_id, progress=call.progress, cancelled=call.cancelled))


def _request(args: NodeArgs) -> NodeRequest:
    # Imported when needed: cryptography and paramiko cost more than the whole start of the plugin.
    from nodestack.provisioning import keys  # noqa: PLC0415

    private_pem = args.ssh_private_key.get_secret_value()
    return NodeRequest(
        name=args.name,
        shape=args.shape,
        volume_id=args.volume_id,
        ssh_public_key=keys.public_key(private_pem),
        ssh_host_private_key=SecretStr(keys.host_key(private_pem, args.name)[0]),
        hardware_profile=args.hardware_profile,
        market=args.market,
        image=args.image,
        max_usd_per_hour=args.max_usd_per_hour,
    )


def _patience_s(call: Call) -> float:
    return call.timeout_s or nodes.BOOT.timeout_s


def _wait(args: NodeArgs, call: Call) -> nodes.WaitUntilReachable:
    from nodestack.provisioning import reach  # noqa: PLC0415

    host_public_key = _host_public_key(args)

    def wait(node: CloudNode, progress: Progress, cancelled: Event) -> None:
        connection = reach.Connection(
            address=node.address,
            port=node.ssh_port,
            user=node.ssh_user,
            host_public_key=host_public_key,
            private_key=args.ssh_private_key,
        )
        reach.wait_for_node(
            connection,
            timeout_s=_patience_s(call),
            progress=progress,
            cancelled=cancelled,
            wrong_key_grace_s=max(
                reach.WRONG_KEY_GRACE_S, host_key_late_s(args.account, node.created_at, datetime.now(UTC))
            ),
        )

    return wait


def host_key_late_s(account: Account, created_at: datetime | None, now: datetime) -> float:
    """Return for how many seconds a node's first boot may yet go on, at whose end its cloud gives it its host key.

    Args:
        account: Where it lives; other clouds than those that sell nodes give it its key at the beginning.
        created_at: When its cloud took the order; None takes it to be new.
        now: The time now.
    """
    if account.kind not in _LATE_HOST_KEYS or is_simulated(account):
        return 0.0
    age_s = (now - created_at).total_seconds() if created_at is not None else 0.0
    return _LATE_S - min(max(0.0, age_s), _LATE_S)


def _host_public_key(args: NodeArgs) -> str:
    if isinstance(args.account, SshAccount):
        return args.account.host_public_key

    from nodestack.provisioning import keys  # noqa: PLC0415

    return keys.host_key(args.ssh_private_key.get_secret_value(), args.name)[1]


def _outputs(node: CloudNode, host_public_key: str, *, ready: bool) -> NodeOutputs:
    return NodeOutputs(
        node_id=node.node_id,
        identity=node.identity,
        address=node.address,
        ssh_port=node.ssh_port,
        ssh_user=node.ssh_user,
        ssh_host_public_key=host_public_key,
        volume_device=node.volume_device,
        region=node.region,
        market=node.market,
        usd_per_hour=node.usd_per_hour,
        created_at=node.created_at.isoformat() if node.created_at else "",
        ready=ready,
    )
