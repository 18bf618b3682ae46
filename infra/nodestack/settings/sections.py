"""What a plan may be asked for, section by section: frozen and documented."""

import re
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, JsonValue, model_validator

from nodestack.catalog.prices import Market
from nodestack.planning.cost_terms import CostTerms

Commit = Annotated[str, Field(pattern=r"^[0-9a-f]{40}$")]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Profile = Literal["ttft", "throughput", "reasoning", "tools"]
Purpose = Literal["production", "development"]

SIMULATED = "-sim"
"""What the kind of a cloud ends with whose nodes are this machine's."""


def _variable(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
        raise ValueError("a variable's name has letters, digits and underscores, and begins with no digit")
    return name


def _one_line(value: str) -> str:
    if not value.isprintable():
        raise ValueError("a variable is one line, without control characters")
    return value


Variable = Annotated[str, AfterValidator(_variable)]
OneLine = Annotated[str, AfterValidator(_one_line)]


class Section(BaseModel):
    """Base of all sections: immutable, unknown keys are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class NodeChoice(Section):
    """Which machine, and what for.

    Attributes:
        shape: A node shape of the catalogue.
        purpose: `production` refuses what is merely possible, such as GPUs without NVLink; `development` warns.
        market: `on_demand`, or `spot`, whose nodes the cloud may take back.
    """

    shape: str
    purpose: Purpose = "production"
    market: Market = "on_demand"


class NodeSettings(NodeChoice):
    """The machine.

    Attributes:
        max_usd_per_hour: No node is ordered at a higher price; asked for again right before the order.
        region: Where it shall stand, as the cloud calls it; left out, where it is cheapest and the volume is.
        image: Operating system, as the cloud calls it; left out, the offer's first.
        driver_repository: Apt repository of the driver packages.
        driver_repository_key_url: Where that repository's armored signing key is fetched.
        driver_repository_key_fingerprint: Fingerprint that key must have; left out, that of a known repository.
        driver_upgrade: Whether an image's driver that does not fit may be replaced; where not, such a node is refused.
        fabric_wait_s: Seconds the fabric may take to complete after boot.
        ready_timeout_s: Seconds from creation until SSH and cloud-init are done.
    """

    max_usd_per_hour: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    region: Annotated[str, Field(min_length=1)] | None = None
    image: str = ""
    driver_repository: str
    driver_repository_key_url: str
    driver_repository_key_fingerprint: Annotated[str, Field(pattern=r"^([0-9A-Fa-f]{40})?$")] = ""
    driver_upgrade: bool = True
    fabric_wait_s: Annotated[int, Field(ge=0, le=3600)] = 300
    ready_timeout_s: Annotated[int, Field(gt=0, le=7200)] = 1800


class VolumeSettings(Section):
    """The disk that keeps the weights.

    Attributes:
        size_gib: Size in GiB; may grow, never shrink.
    """

    size_gib: Annotated[int, Field(gt=0, le=64_000)]


class ModelSettings(Section):
    """What is served.

    Attributes:
        name: A model of the catalogue.
        format: One of its formats.
        commit: 40 hex digits; left out, the catalogue's pin where it has one.
        hub: Base URL of the hub, as HF_ENDPOINT.
        allow_high_performance_fetch: Fetch 16 files at once and fill the line, instead of 4.
        fetch_limit_mbit_s: Bandwidth that fetching may take in Mbit/s; left out, all there is.
        manifests: Digest of each commit's manifest, by commit: other files under that commit are refused.
    """

    name: str
    format: str
    commit: Commit | None = None
    hub: str = "https://huggingface.co"
    allow_high_performance_fetch: bool = True
    fetch_limit_mbit_s: Annotated[int, Field(gt=0)] | None = None
    manifests: dict[Commit, Sha256] = Field(default_factory=dict)


class EngineSettings(Section):
    """The inference engine.

    Attributes:
        version: A vLLM version of the catalogue.
        build: `cuda`, or `cpu` where no GPU computes.
        wheels: URL of a flat index to install from instead of PyPI.
        start_timeout_s: Seconds from start until the engine must be healthy.
        environment: Extra variables of the service; never secrets.
    """

    version: str
    build: Literal["cuda", "cpu"] = "cuda"
    wheels: str = ""
    start_timeout_s: Annotated[int, Field(gt=0)] = 1800
    environment: dict[Variable, OneLine] = Field(default_factory=dict)


class ServingSettings(Section):
    """How it is served: a profile, and what of it is to be different. Absent numbers are chosen by arithmetic.

    Attributes:
        profile: Service level that the plan aims at: `ttft`, `throughput`, `reasoning` or `tools`.
        max_model_len: Longest sequence in tokens, prompt and reply; left out, from the workload or the profile.
        max_num_seqs: Sequences in flight at most; left out, what the KV cache holds.
        max_num_batched_tokens: Tokens a step computes at most; left out, weighed against the sequences it displaces.
        gpu_memory_utilization: Fraction of visible memory the engine may take.
        kv_cache_dtype: `fp8` halves the cache, `auto` follows the model; left out, fp8 on GPUs.
        tensor_parallel_size: GPUs that share each layer; left out, the most that divides the model.
        pipeline_parallel_size: Stages of layers; left out, what remains of the GPUs.
        enable_expert_parallel: Give each GPU whole experts instead of a slice of each.
        shutdown_timeout_s: Seconds that requests in flight get on stop.
        smoke_interval_minutes: Minutes until the node asks the model again whether it still answers; 0 for never.
        options: Engine options beyond these, by name without dashes.
    """

    profile: Profile = "reasoning"
    max_model_len: Annotated[int, Field(gt=0)] | None = None
    max_num_seqs: Annotated[int, Field(gt=0)] | None = None
    max_num_batched_tokens: Annotated[int, Field(gt=0)] | None = None
    gpu_memory_utilization: Annotated[float, Field(gt=0, le=1)] = 0.90
    kv_cache_dtype: Literal["auto", "fp8"] | None = None
    tensor_parallel_size: Annotated[int, Field(gt=0, le=1024)] | None = None
    pipeline_parallel_size: Annotated[int, Field(gt=0, le=1024)] | None = None
    enable_expert_parallel: bool = False
    shutdown_timeout_s: Annotated[int, Field(ge=0, le=3600)] = 120
    smoke_interval_minutes: Annotated[int, Field(ge=0, le=10_080)] = 60
    options: dict[str, JsonValue] = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _behind_the_gateway(cls, values: object) -> object:
        if isinstance(values, dict) and "listen_address" in values:
            raise ValueError(
                f"serving.listen_address is {values['listen_address']!r}, and no setting any more: the engine listens "
                "on the node's loopback, behind the gateway. Remove it; gateway.allowed_cidrs says who may connect"
            )
        return values


class WorkloadSettings(Section):
    """What is asked of the endpoint.

    Attributes:
        trace_length_p95: 95th percentile of whole sequences in tokens: prompt, reasoning and answer.
        trace_lengths_file: File with one such length a line, whose percentile is taken; relative to the project.
    """

    trace_length_p95: Annotated[int, Field(gt=0)] | None = None
    trace_lengths_file: str | None = None

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if self.trace_length_p95 is not None and self.trace_lengths_file is not None:
            raise ValueError("workload has both trace_length_p95 and trace_lengths_file: say one")
        return self


class Request(Section):
    """What the planner needs to know; a stack's settings hold it, and so does one line of the command line.

    Attributes:
        volume: The weights volume, or None when only the fit is asked for.
        cloud: The kind of cloud it would be made on, with `-sim` at its end where that is simulated; None when nothing
            would be made.
    """

    node: NodeChoice
    model: ModelSettings
    engine: EngineSettings
    serving: ServingSettings = Field(default_factory=ServingSettings)
    workload: WorkloadSettings = Field(default_factory=WorkloadSettings)
    cost: CostTerms = Field(default_factory=CostTerms)
    volume: VolumeSettings | None = None
    cloud: str | None = None
