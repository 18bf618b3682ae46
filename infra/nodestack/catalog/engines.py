"""vLLM versions: what each needs, does by default and refuses, and the driver that nodes get."""

from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import Field, JsonValue

from nodestack.catalog.entry import Entry, Fact, Positive
from nodestack.catalog.models import SmokeKind

Kind = Literal["parser", "configuration", "load", "silent", "policy"]
"""Who says no, and when: the parser at once, the engine's configuration seconds later, loading the weights after
minutes, nobody at all, or nodestack itself for reasons of its own."""

Device = Literal["gpu", "cpu"]
Weights = Literal["quantised", "plain"]


class BlockTokens(Entry):
    """Tokens a KV cache block holds, by what the engine computes on."""

    gpu: Positive
    cpu: Positive


class Batch(Entry):
    """What the scheduler starts with when nothing is set.

    Attributes:
        max_num_seqs: Sequences in flight.
        max_num_batched_tokens: Tokens of a step, for `vllm serve`.
        max_num_batched_tokens_offline: The same for the class `LLM`, which no server is.
    """

    max_num_seqs: Positive
    max_num_batched_tokens: Positive
    max_num_batched_tokens_offline: Positive


class BatchDefault(Batch):
    """Defaults of GPUs with at least this much memory.

    Attributes:
        minimum_memory_gib: As the driver shows it, in GiB.
        not_gpu: A word in a GPU's name that keeps it from these.
    """

    minimum_memory_gib: float
    not_gpu: str | None = None


class OptionRule(Entry):
    """What options may not be beside each other, or on this device, or with such weights.

    It holds for an option that is set and not false, and refuses when `needs`, `excludes` or `at_most` is not met;
    one without any of these refuses always.

    Attributes:
        option: Name without dashes; a key of a group as `group.key`.
        values: Those it holds for; None for all.
        device: What the engine computes on for it to hold; None for both.
        weights: The weights it holds for; None for all.
        given: Other options and the values that they must have for it to hold.
        needs: Another option that must be set, with the values that will do; an empty list for any.
        excludes: Another option that must not be set.
        at_most: Another option whose number may not be exceeded.
        kind: Who refuses it otherwise.
        why: What happens, as a clause after the option.
        source: File of vLLM's source, or who decided.
    """

    option: str
    values: tuple[JsonValue, ...] | None = None
    device: Device | None = None
    weights: Weights | None = None
    given: dict[str, JsonValue] = Field(default_factory=dict)
    needs: dict[str, tuple[JsonValue, ...]] = Field(default_factory=dict)
    excludes: str | None = None
    at_most: str | None = None
    kind: Kind
    why: str
    source: str


class StepsInFlight(Entry):
    """Steps whose tokens a sliding layer's cache is reserved for at once.

    Attributes:
        of_each_stage: Whether every pipeline stage has one of its own.
        asynchronous: One more, scheduled while the last one computes, by what the engine computes on.
    """

    of_each_stage: bool
    asynchronous: dict[Device, int]

    def of(self, pipeline: int, device: Device) -> int:
        """Return the steps for this many pipeline stages."""
        return (pipeline if self.of_each_stage else 1) + self.asynchronous[device]


class JustInTime(Fact):
    """What the engine compiles its kernels with once requests come.

    Attributes:
        commands: Programs that must be on the unit's PATH.
        headers: Headers that must be found.
        cache_variables: Variables that name writable directories of compiled kernels, kept by version and GPU.
    """

    commands: tuple[str, ...]
    headers: tuple[str, ...]
    cache_variables: tuple[str, ...]


class Engine(Fact):
    """A vLLM version.

    Attributes:
        on_nodes: Whether nodes can get it: its packages are locked by hash for them.
        torch: Version of torch it pins.
        cuda: CUDA that this torch is built for.
        minimum_driver: Oldest NVIDIA driver its torch runs on.
        overhead_gib: Memory of a rank for activations, graphs and NCCL, in GiB.
        gpu_memory_utilization: Fraction it takes when nothing is set.
        batch_defaults: By GPU memory, largest first; the first that a GPU meets is its own.
        smoke_kinds: Kinds of proof that it can answer.
        reasoning_field: Field of a message that holds a reasoning parser's part.
        metrics: Names it exports that nodestack relies on, as Prometheus shows them.
        rules: What it or nodestack refuses beyond types and choices.
        unplanned: Options that change what the plan reckons with, each with what.
    """

    on_nodes: bool
    torch: str
    cuda: str
    minimum_driver: str
    overhead_gib: float
    block_tokens: BlockTokens
    steps_in_flight: StepsInFlight
    gpu_memory_utilization: float
    batch_defaults: tuple[BatchDefault, ...]
    smoke_kinds: tuple[SmokeKind, ...]
    reasoning_field: str
    metrics: tuple[str, ...]
    just_in_time: JustInTime
    rules: tuple[OptionRule, ...]
    unplanned: dict[str, str]

    def batch_default(self, memory_gib: float, gpu_name: str) -> Batch:
        """Return what this version starts with on a GPU when nothing is set.

        Args:
            memory_gib: Of one GPU as the driver shows it, in GiB.
            gpu_name: As the driver says it.

        >>> from nodestack.catalog import load
        >>> load().engine("0.23.0").batch_default(79.6, "NVIDIA H100 80GB HBM3").max_num_seqs
        1024
        """
        name = gpu_name.lower()
        return next(
            default
            for default in self.batch_defaults
            if memory_gib >= default.minimum_memory_gib and not (default.not_gpu and default.not_gpu in name)
        )


class DriverRepository(Fact):
    """A package repository that drivers come from.

    Attributes:
        uri: Its base URI.
        key_url: Where its armored signing key is fetched.
        key_fingerprint: Fingerprint of that key.
    """

    uri: str
    key_url: str
    key_fingerprint: Annotated[str, Field(pattern=r"^[0-9A-F]{40}$")]


class Driver(Fact):
    """The driver that is installed where the image's is too old.

    Attributes:
        repositories: Known repositories, by distribution and release.
    """

    version: str
    branch: str
    repositories: dict[str, DriverRepository]

    def key_fingerprint(self, key_url: str) -> str | None:
        """Return the fingerprint of the key fetched there, "" where the node itself answers, None for unknown."""
        if urlsplit(key_url).hostname in {"127.0.0.1", "::1", "localhost"}:
            return ""
        known = (repository for repository in self.repositories.values() if repository.key_url == key_url)
        return next((repository.key_fingerprint for repository in known), None)
