"""Whether weights fit the GPUs that they were put on, and what will disappoint: each answer with its arithmetic."""

from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil
from typing import Literal

from nodestack.catalog.models import Format
from nodestack.catalog.nodes import Gpu, Shape
from nodestack.catalog.rules import ConcurrencyRule
from nodestack.planning.memory import RankMemory, tightest
from nodestack.planning.parallel import Parallel

Purpose = Literal["production", "development"]
GB = 10**9


@dataclass(frozen=True)
class Placement:
    """A format of a model on the GPUs of a node.

    Attributes:
        format_name: Its name in the catalogue.
        form: The format.
        shape_name: The node shape's name in the catalogue.
        shape: The node shape.
        gpu: Its GPU.
        parallel: How the GPUs share the model.
        stages: Memory of one GPU of each pipeline stage.
        purpose: What the node is for; some of what development may do is refused in production.
    """

    format_name: str
    form: Format
    shape_name: str
    shape: Shape
    gpu: Gpu
    parallel: Parallel
    stages: tuple[RankMemory, ...]
    purpose: Purpose


def format_refusals(format_name: str, form: Format) -> list[str]:
    """Return why a format is not served at all; it may lack the numbers that a placement needs."""
    return [f"{format_name} is not served here: {form.refused_because}"] if form.refused_because else []


def refusals(placement: Placement) -> list[str]:
    """Return why this cannot work, or may not in production; nothing when it can.

    Where the engine computes on a CPU, only what the format itself forbids is looked at.
    """
    problems = format_refusals(placement.format_name, placement.form)
    if placement.shape.runs_on == "gpu":
        problems += [*_memory(placement), *_too_old(placement)]
        if placement.purpose == "production":
            problems += [f"{text}: not for production" for text in (*_fallback(placement), *_pcie(placement))]
    return problems


def warnings(
    placement: Placement, rule: ConcurrencyRule, concurrency: float | None = None, max_model_len: int = 0
) -> list[str]:
    """Return what will disappoint though it works.

    Args:
        placement: What is planned.
        rule: From the catalogue: how many sequences a production node should hold.
        concurrency: Sequences of `max_model_len` that the KV cache holds, None where that is not known.
        max_model_len: Longest sequence in tokens.
    """
    found = []
    if placement.shape.runs_on == "gpu":
        if placement.purpose == "development":
            found += [f"{text}: for development only" for text in (*_fallback(placement), *_pcie(placement))]
        found += _unequal_stages(placement)
        if idle := placement.shape.gpus - placement.parallel.ranks:
            found.append(f"{idle} of {placement.shape.gpus} GPUs of {placement.shape_name} are paid for and not used")
        if concurrency is not None and 1 <= concurrency < rule.production_sequences:
            found.append(_too_tight(placement, rule, concurrency, max_model_len))
    if placement.form.caveat:
        found.append(f"{placement.format_name}: {placement.form.caveat}")
    return found


def budget(rank: RankMemory) -> str:
    """Return the arithmetic of one GPU's memory as a phrase."""
    return (
        f"{rank.usable_bytes / GB:.1f} GB usable of {rank.visible_bytes / GB:.1f} GB a GPU, "
        f"less {rank.weights_bytes / GB:.1f} GB weights and {rank.overhead_bytes / GB:.1f} GB overhead"
    )


def _memory(placement: Placement) -> Iterator[str]:
    rank = tightest(placement.stages)
    if rank.kv_bytes > 0:
        return
    all_bytes = sum(stage.weights_bytes for stage in placement.stages) * placement.parallel.tensor
    shared = f"{all_bytes / GB:.1f} GB in all on {_gpus(placement)}"
    room = rank.usable_bytes - rank.overhead_bytes
    enough = f"it takes {ceil(all_bytes / room)} such GPUs by memory alone" if room > 0 else "no number is enough"
    yield f"the weights do not fit: {budget(rank)} leaves nothing for the KV cache ({shared}; {enough})"


def _gpus(placement: Placement) -> str:
    ranks = placement.parallel.ranks
    return f"{ranks} {'GPU' if ranks == 1 else 'GPUs'} of {placement.shape_name}"


def _too_old(placement: Placement) -> Iterator[str]:
    if _computes_natively(placement) or (placement.form.quantisation and placement.form.quantisation.fallback):
        return
    yield f"{_capability(placement)}, and the engine has no other way to compute it"


def _fallback(placement: Placement) -> Iterator[str]:
    quantisation = placement.form.quantisation
    if quantisation and quantisation.fallback and not _computes_natively(placement):
        yield f"{_capability(placement)}: the engine {quantisation.fallback}, which keeps the memory but not the speed"


def _computes_natively(placement: Placement) -> bool:
    quantisation = placement.form.quantisation
    return quantisation is None or placement.gpu.compute_capability >= quantisation.minimum_compute_capability


def _capability(placement: Placement) -> str:
    quantisation = placement.form.quantisation
    least = quantisation.minimum_compute_capability if quantisation else 0.0
    has = f"{placement.gpu.name} has {placement.gpu.compute_capability:.1f}"
    return f"{placement.format_name} is computed from compute capability {least:.1f} on, {has}"


def _pcie(placement: Placement) -> Iterator[str]:
    gpu = placement.gpu
    if gpu.interconnect == "pcie" and placement.parallel.ranks > 1:
        speed = f" at {gpu.peer_gb_per_s:g} GB/s one way, NVLink has hundreds" if gpu.peer_gb_per_s else ""
        yield f"the {_gpus(placement)} exchange each token's layers over PCIe{speed}"


def _unequal_stages(placement: Placement) -> Iterator[str]:
    rank = tightest(placement.stages)
    stranded = sum(stage.kv_bytes - rank.kv_bytes for stage in placement.stages) * placement.parallel.tensor
    if rank.kv_bytes > 0 and stranded:
        sizes = ", ".join(f"{stage.weights_bytes / GB:.1f}" for stage in placement.stages)
        yield (
            f"pipeline stages hold unequal weights ({sizes} GB a GPU): stage {rank.weights.stage} decides with "
            f"{rank.kv_bytes / GB:.1f} GB a GPU for the KV cache, {stranded / GB:.1f} GB on the others stay unused"
        )


def _too_tight(placement: Placement, rule: ConcurrencyRule, concurrency: float, max_model_len: int) -> str:
    rank = tightest(placement.stages)
    return (
        f"{placement.shape_name} is tight: {budget(rank)} leaves {rank.kv_bytes / GB:.1f} GB a GPU for the KV cache, "
        f"{concurrency:.1f} sequences of {max_model_len} tokens; production wants {rule.production_sequences}"
    )
