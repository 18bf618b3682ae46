"""What a node says about itself: the frozen form of the JSON that its status script prints."""

from typing import Literal

from pydantic import Field

from nodestack.provisioning.bench_report import BenchResult
from nodestack.provisioning.strict import Report

Service = Literal["active", "inactive", "failed", "missing"]


class _Result(Report):
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


class Measured(Report):
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


class Applied(Report):
    """Which document was applied last, and to which machine; absent while a play that changes it has not ended well."""

    identity: str
    document_sha256: str


class CurrentWeights(Report):
    """The weights on the volume now.

    Attributes:
        changed: Paths whose size or time differs from when they were verified, or that are missing.
    """

    commit: str
    manifest_sha256: str
    changed: tuple[str, ...]


class CurrentGateway(Report):
    """The gateway now.

    Attributes:
        service: State of its unit.
        changed: Files, keys and certificates among them, that differ from what it runs with.
    """

    service: Service
    changed: tuple[str, ...]


class Results(Report):
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


class NodeStatusReport(Report):
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
