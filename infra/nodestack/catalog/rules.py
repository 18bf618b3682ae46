"""Rules that planning counts with beside models, GPUs and engines: what hosts need, and what is too little."""

from typing import Literal

from nodestack.catalog.entry import Entry, Fact, Positive, PositiveFloat

Device = Literal["gpu", "cpu"]


class NaiveRule(Fact):
    """The estimate by parameters alone: weights times this factor."""

    overhead_factor: PositiveFloat


class BytesByDevice(Entry):
    """Bytes, by what the engine computes on."""

    gpu: Positive
    cpu: Positive

    def of(self, device: Device) -> int:
        """Return the bytes of a device."""
        return self.gpu if device == "gpu" else self.cpu


class DiskRule(Fact):
    """What a weights volume holds beside the weights.

    Attributes:
        engine_and_caches_bytes: The engine's environment and its compile caches.
        unknown_file_bytes: Counted for the largest file of a format where nobody said how large it is.
    """

    engine_and_caches_bytes: BytesByDevice
    unknown_file_bytes: Positive


class HostMemoryRule(Fact):
    """What a machine's own memory is needed for.

    Attributes:
        base_bytes: Operating system, front end and gateway.
        resident_bytes_per_rank: Of each rank's process.
        fetch_bytes: Of the client that fetches the weights, at its fastest; it has ended when the engine starts.
    """

    base_bytes: BytesByDevice
    resident_bytes_per_rank: BytesByDevice
    fetch_bytes: Positive


class ConcurrencyRule(Fact):
    """How many sequences of full length a production node should hold at once."""

    production_sequences: Positive


class EngineRule(Fact):
    """The vLLM version that is taken where nobody names one."""

    default_version: str


class Rules(Entry):
    """All of them."""

    naive: NaiveRule
    disk: DiskRule
    host_memory: HostMemoryRule
    concurrency: ConcurrencyRule
    engine: EngineRule
