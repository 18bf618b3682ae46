"""vLLM versions: what each needs, and the driver that nodes get."""

from nodestack.catalog.entry import Entry, Fact, Positive


class BlockTokens(Entry):
    """Tokens a KV cache block holds, by what the engine computes on."""

    gpu: Positive
    cpu: Positive


class Engine(Fact):
    """A vLLM version.

    Attributes:
        minimum_driver: Oldest NVIDIA driver its torch runs on.
        overhead_gib: Memory of a rank for activations, graphs and NCCL, in GiB.
    """

    minimum_driver: str
    overhead_gib: float
    block_tokens: BlockTokens


class Driver(Fact):
    """The driver that is installed where the image's is too old."""

    version: str
    branch: str
