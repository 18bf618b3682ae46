"""Where a rank's memory goes: weights, overhead, and what is left for the KV cache."""

from dataclasses import dataclass

MIB = 2**20
GIB = 2**30


@dataclass(frozen=True)
class RankMemory:
    """The memory of one GPU, in bytes.

    Attributes:
        visible_bytes: What the driver shows.
        usable_bytes: What the engine may take of it.
        weights_bytes: This rank's share of the weights; every expert is resident, whatever is active.
        overhead_bytes: Activations, graphs and NCCL.
    """

    visible_bytes: int
    usable_bytes: int
    weights_bytes: int
    overhead_bytes: int

    @property
    def kv_bytes(self) -> int:
        """What is left for the KV cache, in bytes; negative when the weights do not fit."""
        return self.usable_bytes - self.weights_bytes - self.overhead_bytes


def of_rank(
    visible_mib: int, gpu_memory_utilization: float, weights_bytes: int, tensor_parallel_size: int, overhead_gib: float
) -> RankMemory:
    """Return where the memory of one rank goes.

    Args:
        visible_mib: Memory of the GPU in MiB as nvidia-smi reports it.
        gpu_memory_utilization: Fraction the engine may take.
        weights_bytes: All weights.
        tensor_parallel_size: Ranks that share them.
        overhead_gib: The engine's own need in GiB, from the catalogue.
    """
    visible = visible_mib * MIB
    return RankMemory(
        visible_bytes=visible,
        usable_bytes=int(visible * gpu_memory_utilization),
        weights_bytes=weights_bytes // tensor_parallel_size,
        overhead_bytes=int(overhead_gib * GIB),
    )
