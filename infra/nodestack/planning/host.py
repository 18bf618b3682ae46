"""What a node needs beside its GPUs: disk for weights and caches, memory to fetch and load them."""

from dataclasses import dataclass

from nodestack.catalog.models import Format
from nodestack.catalog.nodes import Shape
from nodestack.catalog.rules import Device, DiskRule, HostMemoryRule

GIB = 2**30


@dataclass(frozen=True)
class HostMemory:
    """Memory of one machine, in bytes.

    Attributes:
        need_bytes: Less than this, and fetching or loading is killed.
        prefetch_bytes: From here on the page cache holds all weights, so that reading them ahead helps a restart.
    """

    need_bytes: int
    prefetch_bytes: int


def disk_need_bytes(checkpoint_bytes: int, form: Format, device: Device, rule: DiskRule) -> int:
    """Return what a volume must hold: weights, a second copy of the largest file, the engine and its caches.

    Args:
        checkpoint_bytes: All files of the weights, from `weights.checkpoint_bytes`.
        form: Their format, for the largest file.
        device: What the engine computes on.
        rule: From the catalogue.
    """
    largest = form.largest_file_bytes or min(rule.unknown_file_bytes, checkpoint_bytes)
    return checkpoint_bytes + largest + rule.engine_and_caches_bytes.of(device)


def memory_need(
    checkpoint_bytes: int, ranks: int, device: Device, rule: HostMemoryRule, *, fast_fetch: bool
) -> HostMemory:
    """Return what one machine needs of its own memory.

    Weights are mapped file by file and copied to the GPUs tensor by tensor, so that on GPUs they need no memory of the
    machine's own; on a CPU they stay in it. The client that fetches them has ended when the engine starts.

    Args:
        checkpoint_bytes: All files of the weights.
        ranks: Ranks on this machine.
        device: What the engine computes on.
        rule: From the catalogue.
        fast_fetch: Whether weights are fetched in the hub client's high-performance mode.
    """
    engine = ranks * rule.resident_bytes_per_rank.of(device) + (checkpoint_bytes if device == "cpu" else 0)
    base = rule.base_bytes.of(device)
    need = base + max(engine, rule.fetch_bytes if fast_fetch else 0)
    return HostMemory(need, base + engine + (checkpoint_bytes if device == "gpu" else 0))


def memory_refusals(shape_name: str, shape: Shape, memory: HostMemory) -> list[str]:
    """Return why a machine's memory is too small; nothing when it is enough or the catalogue does not know it."""
    if shape.memory_gib is None or shape.memory_gib * GIB >= memory.need_bytes:
        return []
    has = f"{shape_name} has {shape.memory_gib} GiB of memory a machine"
    return [f"{has}, fetching and loading the weights need {memory.need_bytes / GIB:.1f} GiB"]
