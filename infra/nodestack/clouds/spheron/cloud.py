"""The Spheron cloud: the protocol of clouds, said in Spheron's words."""

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from nodestack.clouds.base import (
    Balance,
    EndedBecause,
    Market,
    Node,
    NodeRequest,
    NodeStatus,
    Offer,
    OfferQuery,
    Progress,
    SpheronAccount,
    Volume,
    VolumeRequest,
)
from nodestack.clouds.http import NotFound, Patience
from nodestack.clouds.offers import is_model
from nodestack.clouds.spheron import api
from nodestack.clouds.spheron.client import SpheronClient
from nodestack.clouds.spheron.cloud_init import with_host_key
from nodestack.errors import AmbiguousError, CloudError, DuplicateName, InsufficientBalance

Thing = TypeVar("Thing", Node, Volume)
Listed = TypeVar("Listed")

_STATUSES: dict[str, tuple[NodeStatus, EndedBecause | None]] = {
    "deploying": (NodeStatus.BOOTING, None),
    "running": (NodeStatus.RUNNING, None),
    "stopped": (NodeStatus.STOPPED, None),
    "failed": (NodeStatus.TERMINATED, "failed"),
    "terminated": (NodeStatus.TERMINATED, "deleted"),
    # The only sign of a preemption: there is no notice.
    "terminated-provider": (NodeStatus.TERMINATED, "preempted"),
}
_INSTANCE_TYPES: dict[Market, str] = {"spot": "SPOT", "on_demand": "DEDICATED"}
# 250 requests in 15 minutes are allowed for; on this machine nobody counts.
_POLL_S = 20.0
_LOOPBACK_POLL_S = 0.2


class SpheronCloud:
    """One team of a Spheron account; see `Cloud` for what each method promises.

    >>> cloud = SpheronCloud(SpheronAccount())
    >>> [offer.usd_per_hour for offer in cloud.offers(OfferQuery(gpu="H100", gpu_count=8, sxm=True))]  # doctest: +SKIP
    [27.6, 29.6]
    """

    unique_names = True

    def __init__(self, account: SpheronAccount, patience: Patience | None = None) -> None:
        self._client = SpheronClient(account, patience)
        self._team_id = account.team_id
        self.poll_s = _LOOPBACK_POLL_S if account.base_url.startswith("http://") else _POLL_S

    def preflight(self) -> None:
        """Raise a CloudError where the key is wrong or the team unknown, InsufficientBalance where it has no money."""
        balance = self.balance()
        if balance.usd <= 0:
            raise InsufficientBalance(
                f"team {balance.holder} has {balance.usd:.2f} USD at Spheron, which is paid beforehand: pay in first"
            )

    def offers(self, query: OfferQuery) -> tuple[Offer, ...]:
        """Return what matches, one offer for each region and market."""
        found = [
            offer
            for group in self._client.offer_groups(query.gpu)
            if is_model(query.gpu, group.gpu_type) or is_model(query.gpu, group.display_name)
            for row in group.offers
            if row.gpu_count == query.gpu_count
            for offer in _offers(group, row)
        ]
        return tuple(
            offer
            for offer in found
            if offer.market == query.market
            and query.region in (None, offer.region)
            and ("SXM" in f"{offer.interconnect} {offer.gpu}".upper() or not query.sxm)
        )

    def balance(self) -> Balance:
        """Return what the team has left."""
        teams = self._client.balances().teams
        team = next((one for one in teams if self._team_id in (None, one.team_id) and self._is_ours(one)), None)
        if team is None:
            known = ", ".join(one.team_id for one in teams) or "none"
            raise CloudError(
                f"team {self._team_id or '(the current one)'} is not among the key's teams, which are: {known}. "
                "Set nodestack:cloud.team_id to one of them, or leave it out"
            )
        return Balance(usd=team.balance, holder=team.team_id)

    def find_volume(self, name: str) -> Volume | None:
        """Return the volume of this name."""
        return _only(name, [_volume(one) for one in self._listed(self._client.volumes) if one.name == name])

    def list_volumes(self) -> tuple[Volume, ...]:
        """Return all volumes of the team."""
        return tuple(_volume(one) for one in self._listed(self._client.volumes))

    def create_volume(self, request: VolumeRequest) -> Volume:
        """Make a volume; its provider and region bind the nodes that can use it."""
        if not (request.provider and request.region):
            raise CloudError(
                f"volume {request.name} was asked for without a provider and a region, and Spheron binds both to it: "
                "set them, `nodestack offers` shows which there are"
            )
        body = {
            "name": request.name,
            "sizeInGb": request.size_gib,
            "provider": request.provider,
            "region": request.region,
            "teamId": self._team(),
        }
        return _volume(self._client.make_volume(body))

    def read_volume(self, volume_id: str) -> Volume | None:
        """Return the volume with this id."""
        told = self._client.volume(volume_id)
        return None if told is None else _volume(told)

    def grow_volume(self, volume_id: str, size_gib: int) -> Volume:
        """Make a volume larger."""
        return _volume(self._client.resize_volume(volume_id, size_gib))

    def attach_volume(self, node_id: str, volume_id: str) -> None:
        """Attach a volume to a running node: naming it with the order only writes it down, with some providers."""
        self._client.attach(self._handle(volume_id), node_id)

    def detach_volume(self, node_id: str, volume_id: str) -> None:
        """Detach a volume; one that is gone is no error."""
        told = self._client.volume(volume_id)
        if told is not None and told.deployment_id == node_id:
            self._client.detach(told.handle, node_id)

    def delete_volume(self, volume_id: str) -> None:
        """Delete a volume, which must be detached."""
        self._client.delete_volume(volume_id)

    def find_node(self, name: str) -> Node | None:
        """Return the node of this name that exists; those that ended leave their names to others."""
        named = (_node(one) for one in self._listed(self._client.deployments) if one.name == name)
        return _only(name, [node for node in named if node.status is not NodeStatus.TERMINATED])

    def list_nodes(self) -> tuple[Node, ...]:
        """Return all nodes of the team that exist."""
        nodes = (_node(one) for one in self._listed(self._client.deployments))
        return tuple(node for node in nodes if node.status is not NodeStatus.TERMINATED)

    def create_node(self, request: NodeRequest, progress: Progress) -> Node:
        """Order a node of the request's offer; it is BOOTING on return, which takes 20 to 40 s."""
        offer = request.offer
        if offer is None:
            raise CloudError(f"node {request.name} was ordered without an offer: choose one of `nodestack offers`")
        image = request.image or next(iter(offer.images), "")
        body: dict[str, Any] = {
            "provider": offer.provider,
            "offerId": offer.offer_id,
            "gpuType": offer.gpu,
            "gpuCount": offer.gpu_count,
            "region": offer.region,
            "operatingSystem": image,
            "instanceType": _INSTANCE_TYPES[offer.market],
            "ssh_public_key": request.ssh_public_key,
            "name": request.name,
            "teamId": self._team(),
        }
        if request.volume_id:
            body["volumeIds"] = [self._handle(request.volume_id)]
        if offer.supports_cloud_init:
            body["cloudInit"] = with_host_key(request.ssh_host_private_key)
        progress(
            f"ordering {offer.gpu_count} {offer.gpu} of {offer.provider} in {offer.region}, "
            f"{offer.market.replace('_', ' ')}, for {offer.usd_per_hour:.2f} USD an hour"
        )
        return _node(self._client.deploy(body))

    def read_node(self, node_id: str) -> Node | None:
        """Return the node with this id; one that ended says why."""
        told = self._client.deployment(node_id)
        return None if told is None else _node(told)

    def delete_node(self, node_id: str) -> None:
        """Terminate a node; raises MinimumRuntime where it is too young."""
        self._client.terminate(node_id)

    def _team(self) -> str:
        if self._team_id is None:
            self._team_id = self.balance().holder
        return self._team_id

    def _listed(self, ask: Callable[[str], list[Listed]]) -> list[Listed]:
        try:
            return ask(self._team())
        except NotFound:
            # A team that is not the key's has no lists; the balance tells which teams the key has.
            self.balance()
            raise

    def _is_ours(self, team: api.Team) -> bool:
        return team.is_current_team or self._team_id == team.team_id

    def _handle(self, volume_id: str) -> str:
        told = self._client.volume(volume_id)
        if told is None:
            raise NotFound(f"volume {volume_id} does not exist at Spheron: run again to make it anew")
        return told.handle


def _offers(group: api.OfferGroup, row: api.OfferRow) -> Iterable[Offer]:
    if row.is_spot:
        prices: list[tuple[Market, float]] = [("spot", row.price)]
    elif row.instance_type == "DEDICATED":
        prices = [("on_demand", row.price)]
        if row.spot_price:
            prices.append(("spot", row.spot_price))
    else:
        # Clusters of several machines, and whatever else may come to be sold.
        prices = []
    for market, usd_per_hour in prices:
        for region in row.regions:
            yield Offer(
                offer_id=row.offer_id,
                provider=row.provider,
                region=region,
                gpu=group.gpu_type,
                gpu_count=row.gpu_count,
                interconnect=row.interconnect_type or "",
                market=market,
                usd_per_hour=usd_per_hour,
                available=row.available and not row.maintenance,
                images=row.os_options,
                supports_cloud_init=row.supports_cloud_init,
                minimum_runtime_minutes=row.minimum_runtime_minutes,
            )


def _node(told: api.Deployment) -> Node:
    if told.status not in _STATUSES:
        raise AmbiguousError(
            f"node {told.name} ({told.id}) has status {told.status!r} at Spheron, which this version does not know: "
            "whether it exists is not guessed. Look at it there, or use a newer version"
        )
    status, because = _STATUSES[told.status]
    return Node(
        node_id=told.id,
        identity=told.id,
        name=told.name,
        shape="",
        status=status,
        address=told.ip_address or "",
        ssh_port=told.port,
        ssh_user=told.login,
        volume_id="",
        volume_device="",
        gpu=told.gpu_type,
        gpu_count=told.gpu_count,
        region=told.region,
        market="spot" if told.is_spot else "on_demand",
        usd_per_hour=told.usd_per_hour,
        created_at=told.created_at,
        ended_because=because,
    )


def _volume(told: api.Volume) -> Volume:
    return Volume(
        volume_id=told.id,
        name=told.name,
        size_gib=told.size_in_gb,
        attached_to=told.deployment_id,
        provider=told.provider,
        region=told.region,
        usd_per_hour=told.usd_per_hour,
        created_at=told.created_at,
        handle=told.handle,
    )


def _only(name: str, found: list[Thing]) -> Thing | None:
    if len(found) > 1:
        ids = " and ".join(one.node_id if isinstance(one, Node) else one.volume_id for one in found)
        raise DuplicateName(
            f"{len(found)} things are called {name} at Spheron: {ids}. Nothing is done to either: see which one is "
            "meant, and delete or rename the other there"
        )
    return found[0] if found else None
