"""Join catalogue and settings into a plan that can work, or refuse with every reason."""

from pydantic import BaseModel, ConfigDict, JsonValue

from nodestack.catalog import Catalog, Format, Model, Shape
from nodestack.errors import PlanError
from nodestack.planning import kv_cache, memory
from nodestack.planning.cost import Cost, expected
from nodestack.planning.cost_terms import CostTerms
from nodestack.planning.dimensions import dimensions
from nodestack.planning.options import OWNED, engine_options
from nodestack.planning.parallel import Parallel
from nodestack.planning.weights import of_ranks
from nodestack.settings import Settings

GB = 10**9
# The environment of a CPU engine is 5.7 GB (measured); compile caches and the image of the guide take the rest.
ENGINE_AND_CACHES_BYTES = {"cuda": 20 * GB, "cpu": 7 * GB}
PORT = 8000


class Plan(BaseModel):
    """What will be built; every number comes from the catalogue or the stack's settings.

    Attributes:
        repository: Hub id of the weights.
        commit: Their pin, 40 hex digits.
        tensor_parallel_size: Ranks.
        kv_tokens: Tokens the KV cache holds, as the engine will report; None on a CPU, where a setting decides.
        concurrency: Sequences of full length held at once; None on a CPU.
        options: Engine options by name.
        cost: Expected cost.
        disk_need_bytes: Weights, one file's second copy, engine and caches.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    repository: str
    commit: str
    served_model_name: str
    smoke_kind: str
    tensor_parallel_size: int
    kv_tokens: int | None
    concurrency: float | None
    options: dict[str, JsonValue]
    cost: Cost
    disk_need_bytes: int


def make_plan(settings: Settings, catalog: Catalog) -> Plan:
    """Return the plan of a stack.

    Raises:
        CatalogError: The stack names something the catalogue does not have.
        PlanError: It cannot work; one line for each reason, with its arithmetic.
    """
    model = catalog.model(settings.model.name)
    weights = catalog.format(settings.model.name, settings.model.format)
    shape = catalog.shape(settings.node.shape)
    catalog.engine(settings.engine.version)
    tensor_parallel_size = shape.gpu_count if shape.runs_on == "gpu" else 1

    need = disk_need_bytes(weights, settings.engine.build)
    refusals = [
        *_misfits(settings, shape),
        *_parallel(model, tensor_parallel_size),
        *_lengths(settings, model),
        *_disk(settings, need),
        *_own_options(settings),
    ]
    commit = settings.model.commit or weights.commit
    if commit is None:
        refusals.append(f"no commit of {weights.repository} is pinned: set model.commit to 40 hex digits you reviewed")

    cache = None
    if shape.runs_on == "gpu":
        rank, cache = _capacity(settings, catalog, model, weights, tensor_parallel_size)
        refusals += _memory(settings, rank, cache)

    if refusals or commit is None:
        raise PlanError("\n  ".join(["this stack cannot work:", *refusals]))
    return Plan(
        repository=weights.repository,
        commit=commit,
        served_model_name=model.served_model_name,
        smoke_kind=model.smoke_kind,
        tensor_parallel_size=tensor_parallel_size,
        kv_tokens=cache.tokens if cache else None,
        concurrency=round(cache.concurrency, 2) if cache else None,
        options=engine_options(model, settings.serving, tensor_parallel_size, shape.runs_on),
        cost=expected(
            price=catalog.prices.nodes.get(settings.node.shape),
            prices=catalog.prices,
            terms=CostTerms(),
            volume_gb=settings.volume.size_gib * memory.GIB / GB,
            weights_bytes=weights.size_bytes,
        ),
        disk_need_bytes=need,
    )


def disk_need_bytes(weights: Format, build: str) -> int:
    """Return what a volume must hold: weights, a second copy of the largest file, the engine and its caches."""
    return weights.size_bytes + weights.largest_file_bytes + ENGINE_AND_CACHES_BYTES[build]


def _capacity(
    settings: Settings, catalog: Catalog, model: Model, weights: Format, tensor_parallel_size: int
) -> tuple[memory.RankMemory, kv_cache.CacheCapacity]:
    engine, serving = catalog.engine(settings.engine.version), settings.serving
    dims = dimensions(settings.model.name, model.architecture)
    (held,) = of_ranks(settings.model.format, dims, weights, Parallel(tensor_parallel_size))
    visible_mib = catalog.gpu(settings.node.shape).visible_mib
    rank = memory.of_rank(visible_mib, serving.gpu_memory_utilization, held, engine.overhead_gib)
    element_bytes = 1 if serving.kv_cache_dtype == "fp8" else 2
    layout = kv_cache.layout(
        dims,
        tensor=tensor_parallel_size,
        bytes_per_element=element_bytes,
        block_tokens=engine.block_tokens.gpu,
    )
    return rank, kv_cache.capacity(layout, rank.kv_bytes, serving.max_model_len, serving.max_num_batched_tokens)


def _misfits(settings: Settings, shape: Shape) -> list[str]:
    refusals = []
    wanted = "cuda" if shape.runs_on == "gpu" else "cpu"
    if settings.engine.build != wanted:
        refusals.append(
            f"engine.build is {settings.engine.build!r}, node.shape {settings.node.shape!r} runs the {wanted!r} build"
        )
    if (settings.cloud.kind == "local") != (shape.runs_on == "cpu"):
        refusals.append(f"cloud.kind {settings.cloud.kind!r} has no node of shape {settings.node.shape!r}")
    return refusals


def _parallel(model: Model, tensor_parallel_size: int) -> list[str]:
    heads, kv_heads = model.architecture.attention_heads, model.architecture.kv_heads
    if heads % tensor_parallel_size or max(kv_heads, tensor_parallel_size) % min(kv_heads, tensor_parallel_size):
        return [f"{heads} heads and {kv_heads} KV heads cannot be shared by {tensor_parallel_size} GPUs"]
    return []


def _lengths(settings: Settings, model: Model) -> list[str]:
    longest = model.architecture.max_position_embeddings
    if settings.serving.max_model_len > longest:
        return [f"serving.max_model_len is {settings.serving.max_model_len}, the model knows {longest} positions"]
    return []


def _disk(settings: Settings, need: int) -> list[str]:
    size = settings.volume.size_gib * memory.GIB
    if size < need:
        return [
            f"volume.size_gib is {settings.volume.size_gib} ({size / GB:.1f} GB), weights, engine and caches "
            f"need {need / GB:.1f} GB: ask for {-(-need // memory.GIB)} GiB or more"
        ]
    return []


def _own_options(settings: Settings) -> list[str]:
    return [
        f"serving.options.{name} is not a free option: nodestack sets it from its own settings"
        for name in sorted(OWNED & settings.serving.options.keys())
    ]


def _memory(settings: Settings, rank: memory.RankMemory, cache: kv_cache.CacheCapacity) -> list[str]:
    shown = (
        f"{rank.usable_bytes / GB:.1f} GB usable of {rank.visible_bytes / GB:.1f} GB a GPU, "
        f"less {rank.weights_bytes / GB:.1f} GB weights and {rank.overhead_bytes / GB:.1f} GB overhead"
    )
    if rank.kv_bytes <= 0:
        return [f"the weights do not fit: {shown} leaves nothing for the KV cache"]
    if cache.concurrency < 1:
        return [
            f"not one sequence of {settings.serving.max_model_len} tokens fits: {shown} leaves "
            f"{rank.kv_bytes / GB:.1f} GB for the KV cache, {cache.concurrency:.2f} of one: lower serving.max_model_len"
        ]
    return []
