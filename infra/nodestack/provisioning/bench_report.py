"""What a measurement of a node found: the frozen form of the record that the node keeps on its volume."""

from typing import Literal

from nodestack.provisioning.strict import Report


class Shape(Report):
    """The load of a measurement: lengths in tokens, requests in all and in flight."""

    prompt_tokens: int
    output_tokens: int
    requests: int
    concurrency: int


class Figures(Report):
    """What was measured: times as their names say, `seconds` and `output_tokens` of all requests together."""

    output_tokens_per_second: float
    ttft_p50_ms: float
    ttft_p99_ms: float
    inter_token_p50_ms: float
    inter_token_p99_ms: float
    seconds: float
    output_tokens: float


class Percentile(Report):
    """A 95th percentile out of a histogram, in tokens: within a bucket, and interpolated in it."""

    estimate: int
    more_than: int
    at_most: int


class Lengths(Report):
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


class Regression(Report):
    """A figure that is worse than before by more than its tolerance, both as shares of its former value."""

    figure: str
    before: float
    now: float
    worse_by: float
    tolerance: float


class BenchResult(Report):
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
