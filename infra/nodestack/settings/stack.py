"""A whole stack: what is planned, and beyond it the cloud that makes it and the secrets."""

from typing import Annotated, Literal, TypeAlias

from pydantic import Field, SecretStr

from nodestack.clouds.accounts import SpheronAccount, SshAccount, VerdaAccount, is_at_loopback
from nodestack.planning.cost_terms import CostTerms
from nodestack.settings.monitoring import MonitoringSettings
from nodestack.settings.sections import (
    SIMULATED,
    EngineSettings,
    ModelSettings,
    NodeChoice,
    NodeSettings,
    Request,
    Section,
    ServingSettings,
    VolumeSettings,
    WorkloadSettings,
)


class LocalCloudSettings(Section):
    """Systemd-nspawn machines on this host.

    Attributes:
        directory: Where the local cloud keeps nodes and disks, relative to the project.
        hardware_profile: Recorded hardware that a local node's driver packages replay.
    """

    kind: Literal["local"] = "local"
    directory: str = ".nodestack/local"
    hardware_profile: str = "h100-sxm5-x8"


CloudSettings: TypeAlias = Annotated[
    LocalCloudSettings | SpheronAccount | VerdaAccount | SshAccount, Field(discriminator="kind")
]
"""Who makes the machine."""


def planned_kind(kind: str, base_url: str) -> str:
    """Return a cloud's kind as a plan is told of it: with `-sim` at its end where it is asked on the loopback."""
    return kind + SIMULATED if is_at_loopback(base_url) else kind


class Settings(Section):
    """A whole stack.

    Attributes:
        api_key: Secret; what clients of the endpoint send as bearer token.
        ssh_private_key: Secret; OpenSSH ed25519 key that may log in to the node.
        hub_token: Secret; token for the hub, where the repository needs one.
        alert_secret: Secret; bearer token of the alerts' webhook, or password of their mail server.
    """

    cloud: CloudSettings
    node: NodeSettings
    volume: VolumeSettings
    model: ModelSettings
    engine: EngineSettings
    serving: ServingSettings = Field(default_factory=ServingSettings)
    workload: WorkloadSettings = Field(default_factory=WorkloadSettings)
    cost: CostTerms = Field(default_factory=CostTerms)
    monitoring: MonitoringSettings = Field(default_factory=MonitoringSettings)
    api_key: Annotated[SecretStr, Field(min_length=16)]
    ssh_private_key: SecretStr
    hub_token: SecretStr | None = None
    alert_secret: SecretStr | None = None

    @property
    def request(self) -> Request:
        """What the planner needs of this stack."""
        return Request(
            node=NodeChoice(shape=self.node.shape, purpose=self.node.purpose, market=self.node.market),
            model=self.model,
            engine=self.engine,
            serving=self.serving,
            workload=self.workload,
            cost=self.cost,
            volume=self.volume,
            cloud=planned_kind(self.cloud.kind, getattr(self.cloud, "base_url", "")),
        )
