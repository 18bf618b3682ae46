"""What a stack costs as it stands, as its cloud says it: node and volume by the hour, and the node so far."""

from datetime import datetime
from typing import Self

from pydantic import BaseModel, ConfigDict

from nodestack.clouds.base import Cloud, NodeStatus

_HOUR_S = 3600.0
_HOURS_OF_A_MONTH = 720


class Bill(BaseModel):
    """What is paid for.

    Attributes:
        has_node: Whether there is a node.
        node_usd_per_hour: What that costs; None where its cloud does not say.
        node_hours: For how long there has been; None where its cloud does not say.
        has_volume: Whether there is a weights volume.
        volume_usd_per_hour: What that costs; None where its cloud does not say.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    has_node: bool = False
    node_usd_per_hour: float | None = None
    node_hours: float | None = None
    has_volume: bool = False
    volume_usd_per_hour: float | None = None

    @classmethod
    def of(cls, cloud: Cloud, node_name: str, volume_name: str, now: datetime) -> Self:
        """Ask the cloud for both by their exact names.

        Raises:
            CloudError: It does not answer clearly.
        """
        node, volume = cloud.find_node(node_name), cloud.find_volume(volume_name)
        node = None if node is None or node.status is NodeStatus.TERMINATED else node
        ordered = node.created_at if node is not None else None
        return cls(
            has_node=node is not None,
            node_usd_per_hour=node.usd_per_hour if node is not None else None,
            node_hours=None if ordered is None else max(0.0, (now - ordered).total_seconds() / _HOUR_S),
            has_volume=volume is not None,
            volume_usd_per_hour=volume.usd_per_hour if volume is not None else None,
        )

    @property
    def usd_so_far(self) -> float | None:
        """What the node has cost; None where its cloud does not say."""
        if self.node_usd_per_hour is None or self.node_hours is None:
            return None
        return self.node_usd_per_hour * self.node_hours

    def line(self) -> str:
        """Return it in one line."""
        things = [
            _priced("node", self.node_usd_per_hour) if self.has_node else "no node",
            _priced("volume", self.volume_usd_per_hour) if self.has_volume else "no volume",
        ]
        total = (self.node_usd_per_hour or 0.0) + (self.volume_usd_per_hour or 0.0)
        return f"{total:.4f} USD/h, {total * _HOURS_OF_A_MONTH:.2f} USD in 30 days ({', '.join(things)})"


def _priced(what: str, usd_per_hour: float | None) -> str:
    return f"{what}, whose cloud names no price" if usd_per_hour is None else f"{what} {usd_per_hour:.4f}"
