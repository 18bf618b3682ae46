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
    """The driver that runs, and where it came from."""

    version: str
    minimum: str
    source: str


class FabricResult(_Result):
    """The verdict on GPUs, NVLinks and fabric."""

    checks: tuple[Check, ...]


class WeightsResult(_Result):
    """What was fetched and verified last.

    Attributes:
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
    """

    version: str
    build: str
    options: dict[str, object]
    unit: str
    start_seconds: float | None


class SmokeResult(_Result):
    """Whether the model really answered.

    Attributes:
        completion: Text of the reply, to be shown to the user.
    """

    kind: str
    checks: tuple[Check, ...]
    completion: str
    seconds: float


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


class Results(_Report):
    """The last verdict of each gate; None where it has not run on this machine."""

    driver: DriverResult | None = None
    fabric: FabricResult | None = None
    weights: WeightsResult | None = None
    engine: EngineResult | None = None
    smoke: SmokeResult | None = None


class NodeStatusReport(_Report):
    """Everything that `/usr/local/lib/nodestack/status` prints.

    Attributes:
        identity: Identity of the machine, "" before it was first configured.
        service: State of the serving unit.
    """

    identity: str | None
    applied: Applied | None
    service: Service
    weights: CurrentWeights | None
    results: Results
