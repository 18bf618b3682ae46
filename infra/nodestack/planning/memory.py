"""Where a GPU's memory goes: weights, overhead, and what is left for the KV cache."""

from collections.abc import Sequence
from dataclasses import dataclass

from nodestack.planning.weights import RankWeights

MIB = 2**20
GIB = 2**30


@dataclass(frozen=True)
class RankMemory:
    """The memory of one GPU, in bytes.

    Attributes:
        visible_bytes: What the driver shows.
        usable_bytes: What the engine may take of it.
        weights: This rank's share of the weights.
        overhead_bytes: Activations, graphs and NCCL.
    """

    visible_bytes: int
    usable_bytes: int
    weights: RankWeights
    overhead_bytes: int

    @property
    def weights_bytes(self) -> int:
        """This rank's share of the weights, in bytes."""
        return self.weights.total

    @property
    def kv_bytes(self) -> int:
        """What is left for the KV cache, in bytes; negative when the weights do not fit."""
        return self.usable_bytes - self.weights_bytes - self.overhead_bytes

    @property
    def parts(self) -> dict[str, int]:
        """Bytes by what takes them, for a bar: they add up to what is visible where the weights fit."""
        return {
            **{str(part): size for part, size in self.weights.parts.items()},
            "overhead": self.overhead_bytes,
            "kv_cache": max(self.kv_bytes, 0),
            "unused": self.visible_bytes - self.usable_bytes,
        }


def of_rank(visible_mib: int, gpu_memory_utilization: float, weights: RankWeights, overhead_gib: float) -> RankMemory:
    """Return where the memory of one GPU goes.

    Args:
        visible_mib: Memory of the GPU in MiB as nvidia-smi reports it.
        gpu_memory_utilization: Fraction the engine may take.
        weights: This rank's share, from `weights.of_ranks`.
        overhead_gib: The engine's own need in GiB, from the catalogue.
    """
    visible = visible_mib * MIB
    return RankMemory(
        visible_bytes=visible,
        usable_bytes=int(visible * gpu_memory_utilization),
        weights=weights,
        overhead_bytes=int(overhead_gib * GIB),
    )


def tightest(stages: Sequence[RankMemory]) -> RankMemory:
    """Return the GPU that has the least left for the KV cache: it decides for all, since each token is on every stage.

    Args:
        stages: One rank of each pipeline stage.
    """
    return min(stages, key=lambda rank: rank.kv_bytes)
