"""What a node says about itself: the frozen form of the JSON that its status script prints."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

Service = Literal["active", "inactive", "failed", "missing"]


class _Report(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


class _Result(_Report):
    passed: bool = Field(alias="pass")


class Check(_Result):
    """One thing a gate looked at.

    Attributes:
        passed: `pass` on the node.
        check: What was looked at.
        expected: What had to be seen.
        seen: What was seen.
        remedy: What to do or to ask the provider for; "" where nothing is wrong.
    """

    check: str
    expected: str | int | float | bool | None = None
    seen: str | int | float | bool | None = None
    remedy: str = ""


class DriverResult(_Result):
    """The driver that runs, and where it came from.

    Attributes:
        version: What its tools say.
        minimum: Oldest that the engine runs on.
        source: Repository it was installed from, or "image".
        loaded: Version of the kernel module, "" where it cannot be read.
        open_modules: Whether that is the open one.
        fabric_manager: Version of the fabric manager, "" for none.
        nscq: Version of the library that reads NVSwitches, "" for none.
    """

    version: str
    minimum: str
    source: str
    loaded: str = ""
    open_modules: bool = False
    fabric_manager: str = ""
    nscq: str = ""


class Measured(_Report):
    """What was measured on the node's GPUs, as far as the programs for it are installed.

    Attributes:
        busbw_gb_s: Bus bandwidth of the last NCCL all-reduce in GB/s; None before the first.
        date: When that was.
        baseline_gb_s: The node's own baseline, its first run that passed; None where none did.
        baseline_date: When that was.
        dcgm_level: Highest level of DCGM's diagnostics that these GPUs have passed; 0 for none.
    """

    busbw_gb_s: float | None = None
    date: str = ""
    baseline_gb_s: float | None = None
    baseline_date: str = ""
    dcgm_level: int = 0


class FabricResult(_Result):
    """The verdict on GPUs, NVLinks and fabric.

    Attributes:
        measured: What was measured on these GPUs; None where neither NCCL's tests nor DCGM are installed.
    """

    checks: tuple[Check, ...]
    measured: Measured | None = None


class WeightsResult(_Result):
    """What was fetched and verified last.

    Attributes:
        fetch_seconds: Until the last byte that was fetched was on the disk, in s; the rest of `seconds` verified it.
        hub: Whether the hub was asked for the manifest, or why the recorded one was enough; "" where it failed before.
        former_commit: What is still on the volume, verified, to go back to; "" for nothing.
        freed_bytes: Room that was freed by removing what is neither current nor former.
        removed: What that was, by path below the weights' directory.
        error: Why there are no verified weights; "" when there are.
    """

    repository: str
    commit: str
    manifest_sha256: str
    files: int
    bytes: int
    fetched_files: tuple[str, ...]
    fetched_bytes: int
    seconds: float
    fetch_seconds: float = 0.0
    hub: str = ""
    former_commit: str = ""
    freed_bytes: int = 0
    removed: tuple[str, ...] = ()
    error: str = ""


class EngineResult(_Result):
    """The engine that serves.

    Attributes:
        options: Engine options as they were given to it.
        start_seconds: From start until it answered.
        gap_seconds: From when the former one took no more requests until then; None where none ran.
        failure: Why a newer configuration does not serve instead, or why none does; "" when all is as it was asked for.
    """

    version: str
    build: str
    options: dict[str, object]
    unit: str
    start_seconds: float | None
    gap_seconds: float | None = None
    failure: str = ""


class SmokeCheck(Check):
    """One thing that the smoke test asked; `seconds` are how long that took."""

    seconds: float = 0.0


class SmokeResult(_Result):
    """Whether the model really answered: in full before it takes traffic, or the light part that the node's timer asks.

    Attributes:
        at: When, in UTC.
        completion: Text of the reply, to be shown to the user.
    """

    kind: str
    checks: tuple[SmokeCheck, ...]
    completion: str
    seconds: float
    at: str = ""


class Shape(_Report):
    """The load of a measurement: lengths in tokens, requests in all and in flight."""

    prompt_tokens: int
    output_tokens: int
    requests: int
    concurrency: int


class Figures(_Report):
    """What was measured: times as their names say, `seconds` and `output_tokens` of all requests together."""

    output_tokens_per_second: float
    ttft_p50_ms: float
    ttft_p99_ms: float
    inter_token_p50_ms: float
    inter_token_p99_ms: float
    seconds: float
    output_tokens: float


class Percentile(_Report):
    """A 95th percentile out of a histogram, in tokens: within a bucket, and interpolated in it."""

    estimate: int
    more_than: int
    at_most: int


class Lengths(_Report):
    """How long requests of clients were since the engine's start, and which length that suggests.

    Attributes:
        requests: How many there were.
        own_requests: Requests of measurements among what the engine counted, which are left out.
        cut_share: Share of replies that ended at a limit.
        suggested_max_model_len: None where there were too few requests.
        arithmetic: How it comes about, or why there is none.
    """

    requests: int
    own_requests: int
    prompt_tokens_p95: Percentile | None
    generated_tokens_p95: Percentile | None
    cut_share: float | None
    suggested_max_model_len: int | None
    arithmetic: str


class Regression(_Report):
    """A figure that is worse than before by more than its tolerance, both as shares of its former value."""

    figure: str
    before: float
    now: float
    worse_by: float
    tolerance: float


class BenchResult(_Report):
    """What was measured last on this machine.

    Attributes:
        kind: Always `measured`: what is assumed is elsewhere, in the cost.
        at: When it ended, in UTC.
        options_sha256: Digest of the engine's options.
        hardware: What computed: the GPUs, or `CPU`.
        through: Where the requests went: `gateway` or `engine`.
        usd_per_million_output_tokens: At the measured rate; None where the node's price is not known.
        usd_basis: Where the price comes from, or why the node is free.
        compared_with: When the run ended that this one was held against; "" for none.
        is_baseline: Whether later runs are held against this one.
        file: Where the record is, on the volume.
    """

    kind: Literal["measured"]
    at: str
    engine_version: str
    engine_build: str
    model: str
    commit: str
    options_sha256: str
    hardware: str
    through: Literal["gateway", "engine"]
    shape: Shape
    figures: Figures
    usd_per_hour: float | None
    usd_per_million_output_tokens: float | None
    usd_basis: str
    lengths: Lengths
    compared_with: str
    regressions: tuple[Regression, ...]
    is_baseline: bool
    file: str


class Applied(_Report):
    """Which document was applied last, and to which machine; absent while a play that changes it has not ended well."""

    identity: str
    document_sha256: str


class CurrentWeights(_Report):
    """The weights on the volume now.

    Attributes:
        changed: Paths whose size or time differs from when they were verified, or that are missing.
    """

    commit: str
    manifest_sha256: str
    changed: tuple[str, ...]


class CurrentGateway(_Report):
    """The gateway now.

    Attributes:
        service: State of its unit.
        changed: Files, keys and certificates among them, that differ from what it runs with.
    """

    service: Service
    changed: tuple[str, ...]


class Results(_Report):
    """The last verdict of each gate; None where it has not run on this machine.

    Attributes:
        bench: What was measured last, which is no verdict.
        probe: What the timer's light smoke test found; None as well once a full one has passed since.
    """

    driver: DriverResult | None = None
    fabric: FabricResult | None = None
    weights: WeightsResult | None = None
    engine: EngineResult | None = None
    smoke: SmokeResult | None = None
    probe: SmokeResult | None = None
    bench: BenchResult | None = None


class NodeStatusReport(_Report):
    """Everything that `/usr/local/lib/nodestack/status` prints.

    Attributes:
        identity: Identity of the machine, "" before it was first configured.
        service: State of the serving unit.
        gateway: What stands in front of it; None where it was never brought up.
    """

    identity: str | None
    applied: Applied | None
    service: Service
    weights: CurrentWeights | None
    gateway: CurrentGateway | None = None
    results: Results
