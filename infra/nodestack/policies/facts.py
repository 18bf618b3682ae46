"""What policies judge of an endpoint: inputs of a program's first component, before anything is made."""

from typing import Any, Literal, TypeAlias, get_args

from pydantic import BaseModel, ConfigDict

Environment: TypeAlias = Literal["local", "development", "spot", "production"]
ENVIRONMENTS: tuple[Environment, ...] = get_args(Environment)
FIRST_COMPONENT = "nodestack:components:WeightsVolume"
"""The component whose input FACTS says what is judged: nothing that costs money is registered before it."""
FACTS = "judged"
STRICTEST: Environment = "production"
"""What holds where nothing says which environment it is."""


class Given(BaseModel):
    """Base of what a rule is given: immutable, and nothing that it did not ask for."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Facts(Given):
    """All that is judged of one endpoint.

    Attributes:
        environment: Which severities and limits hold.
        model: The model's name.
        format: Its format.
        commit: The pin of its weights, or None.
        manifest_sha256: Digest that the stack expects the files under the commit to have, where code of it may run; or
            None.
        remote_code: Whether the engine may run code of the model's repository.
        reviewed_manifest_sha256: Digest of the files under this commit whose code a person read, or None.
        licence: The model's licence by name, or None where it is not known.
        licence_acknowledged: Name of the licence that a person agreed to, or None.
        evaluation_score: What the user's own evaluation of this commit gave, or None where there is none.
        evaluation_minimum: What it had to give, or None.
        cloud: Who makes the machine.
        region: Where it shall stand, or None for anywhere.
        market: `on_demand` or `spot`.
        interconnect: How GPUs reach each other: `nvlink`, `pcie`, or `none` where a CPU computes.
        engine_version: vLLM version.
        engine_options: Names of the options it is started with, without dashes.
        volume_size_gib: Size of the weights volume in GiB.
        disk_need_gib: What weights, engine and caches need in GiB.
        allowed_cidrs: Networks whose addresses may connect to the endpoint.
        ssh_allowed_cidrs: Networks whose addresses may connect by SSH.
        firewall: Whether every other port is closed.
        api_key: Whether the endpoint asks for a key.
        tls: Whether it is encrypted.
        gates: What a node has to pass before it takes traffic.
        smoke_interval_minutes: Minutes until the model is asked again whether it answers; 0 for never.
        usd_per_hour: Price of the node, or None where nobody knows it.
        usd_per_month: The same over a month.
        usd_per_million_output_tokens: At the worst throughput expected, or None.
        volume_usd_per_hour: Rent of the volume, or None where it is not known.
    """

    environment: Environment
    model: str
    format: str
    commit: str | None
    manifest_sha256: str | None
    remote_code: bool
    reviewed_manifest_sha256: str | None
    licence: str | None
    licence_acknowledged: str | None
    evaluation_score: float | None
    evaluation_minimum: float | None
    cloud: str
    region: str | None
    market: str
    interconnect: str
    engine_version: str
    engine_options: tuple[str, ...]
    volume_size_gib: float
    disk_need_gib: float
    allowed_cidrs: tuple[str, ...]
    ssh_allowed_cidrs: tuple[str, ...]
    firewall: bool
    api_key: bool
    tls: bool
    gates: tuple[str, ...]
    smoke_interval_minutes: int
    usd_per_hour: float | None
    usd_per_month: float | None
    usd_per_million_output_tokens: float | None
    volume_usd_per_hour: float | None

    def inputs(self) -> dict[str, Any]:
        """Return them as an input of a component; a program of one's own may put outputs in their place."""
        return self.model_dump(mode="json")
