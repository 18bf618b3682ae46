"""A whole stack: what is planned, and beyond it the cloud that makes it and the secrets."""

from typing import Annotated, Literal, Self, TypeAlias

from pydantic import Field, Secret, SecretStr, model_validator

from nodestack.clouds.accounts import LOCAL_SERVICE_PORT, SpheronAccount, SshAccount, VerdaAccount, is_at_loopback
from nodestack.planning.cost_terms import CostTerms
from nodestack.settings.gateway import DEFAULT_KEY, NODE_KEY, ApiKey, GatewaySettings, KeyName
from nodestack.settings.monitoring import MonitoringSettings
from nodestack.settings.policy import PolicySettings
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
from nodestack.settings.watch import WatchSettings

HTTPS_PORT = 443


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
        api_keys: Secret; further keys by the name of who has them, each revoked by taking it away.
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
    gateway: GatewaySettings = Field(default_factory=GatewaySettings)
    workload: WorkloadSettings = Field(default_factory=WorkloadSettings)
    cost: CostTerms = Field(default_factory=CostTerms)
    monitoring: MonitoringSettings = Field(default_factory=MonitoringSettings)
    policy: PolicySettings = Field(default_factory=PolicySettings)
    watch: WatchSettings = Field(default_factory=WatchSettings)
    api_key: Secret[ApiKey]
    api_keys: dict[KeyName, Secret[ApiKey]] = Field(default_factory=dict)
    ssh_private_key: SecretStr
    hub_token: SecretStr | None = None
    alert_secret: SecretStr | None = None

    @model_validator(mode="after")
    def _keys_are_told_apart(self) -> Self:
        if reserved := sorted({DEFAULT_KEY, NODE_KEY} & self.api_keys.keys()):
            raise ValueError(
                f"api_keys.{reserved[0]} cannot be had: {DEFAULT_KEY} is the name of nodestack:api_key, {NODE_KEY} "
                "that of the node's own; call it otherwise"
            )
        seen: dict[str, str] = {self.api_key.get_secret_value().lower(): "api_key"}
        for name, key in self.api_keys.items():
            # Without regard to case, as the gateway's index has them.
            other = seen.setdefault(key.get_secret_value().lower(), f"api_keys.{name}")
            if other != f"api_keys.{name}":
                raise ValueError(
                    f"api_keys.{name} is the same as {other}: a key that two have cannot be revoked for one"
                )
        return self

    @model_validator(mode="after")
    def _port_is_forwarded(self) -> Self:
        if self.is_on_this_machine and self.gateway.port not in (None, LOCAL_SERVICE_PORT):
            raise ValueError(
                f"gateway.port is {self.gateway.port}, nodes of this machine are reached at {LOCAL_SERVICE_PORT} only: "
                "leave it out"
            )
        return self

    @property
    def keys(self) -> dict[str, str]:
        """All API keys of clients by name."""
        further = {name: key.get_secret_value() for name, key in self.api_keys.items()}
        return {DEFAULT_KEY: self.api_key.get_secret_value(), **further}

    @property
    def is_on_this_machine(self) -> bool:
        """Whether nodes are made of this machine, by the local cloud or by a simulated one."""
        return self.cloud.kind == "local" or is_at_loopback(getattr(self.cloud, "base_url", ""))

    @property
    def has_firewall(self) -> bool:
        """Whether every other port of the node is closed: a machine that was there before may serve something else."""
        return self.cloud.kind != "ssh" if self.gateway.firewall is None else self.gateway.firewall

    @property
    def gateway_port(self) -> int:
        """TCP port that clients connect to."""
        return self.gateway.port or (LOCAL_SERVICE_PORT if self.is_on_this_machine else HTTPS_PORT)

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
