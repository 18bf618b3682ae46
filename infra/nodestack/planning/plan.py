"""Join request and catalogue into a plan: whether it works, what it holds, with which options, at what cost."""

from nodestack.catalog import Catalog
from nodestack.errors import PlanError
from nodestack.planning import fit, memory, naive
from nodestack.planning.cost import Cost, expected
from nodestack.planning.draft import ELEMENT_BYTES, Draft
from nodestack.planning.options import serve_command
from nodestack.planning.refusals import refusals, warnings
from nodestack.planning.result import HeldAtLength, KvCache, NaiveEstimate, ParallelSizes, Plan, RankBudget
from nodestack.settings.sections import Request

ENGINE_HOST = "127.0.0.1"
"""Only the node itself reaches the engine; clients go through the gateway."""

PORT = 8000
WEIGHTS_DIRECTORY = "/srv/nodestack/weights/current"


def make_plan(request: Request, catalog: Catalog, kv_bytes_per_gpu: int | None = None) -> Plan:
    """Return the plan of a request; what cannot work comes back as refusals, all of them.

    Args:
        request: What a stack, or a line of the command line, asks for.
        catalog: Facts.
        kv_bytes_per_gpu: Memory for the KV cache on each GPU in bytes, as an engine's log said it, not estimated.

    Raises:
        CatalogError: The request names something the catalogue does not have, or has without a number that is needed.
        PlanError: The format is not served at all.
    """
    draft = Draft(request, catalog, kv_bytes_per_gpu)
    refused = refusals(draft)
    licence = draft.model.licence
    options = draft.planned_options | draft.checked.options
    return Plan(
        model=request.model.name,
        format=request.model.format,
        shape=request.node.shape,
        engine_version=request.engine.version,
        fits=not refused,
        refusals=tuple(refused),
        warnings=tuple(warnings(draft)),
        repository=draft.form.repository,
        commit=draft.commit,
        licence=f"{licence.name} ({licence.source}, {licence.date})" if licence else "not known",
        served_model_name=draft.model.served_model_name,
        smoke_kind=draft.model.smoke_kind,
        parallel=ParallelSizes(
            tensor_parallel_size=draft.parallel.tensor,
            pipeline_parallel_size=draft.parallel.pipeline,
            expert_parallel=draft.parallel.expert,
        ),
        memory_per_rank=_memory(draft),
        kv=_kv(draft),
        naive=_naive(draft),
        service_level=draft.level,
        options=options,
        serve_command=serve_command(
            WEIGHTS_DIRECTORY,
            {
                "served-model-name": draft.model.served_model_name,
                "host": ENGINE_HOST,
                "port": PORT,
                "shutdown-timeout": request.serving.shutdown_timeout_s,
                **options,
            },
        ),
        cost=_cost(draft),
        disk_need_bytes=draft.disk_need_bytes,
        host_memory_need_bytes=draft.host_memory.need_bytes,
        sources=_sources(draft),
        overridden=catalog.overridden,
    )


def require(plan: Plan) -> Plan:
    """Return the plan when it works.

    Raises:
        PlanError: It does not; one line for each reason, with its arithmetic.
    """
    if not plan.fits:
        raise PlanError("\n  ".join(["this stack cannot work:", *plan.refusals]))
    return plan


def _memory(draft: Draft) -> RankBudget | None:
    if not draft.stages:
        return None
    rank = memory.tightest(draft.stages)
    return RankBudget(
        stage=rank.weights.stage,
        visible_bytes=rank.visible_bytes,
        usable_bytes=rank.usable_bytes,
        weights_bytes={str(part): size for part, size in rank.weights.parts.items()},
        overhead_bytes=rank.overhead_bytes,
        kv_bytes=rank.kv_bytes,
        basis=f"memory: {draft.gpu.source}; weights: {draft.form.source}; overhead: {draft.engine.source}",
    )


def _kv(draft: Draft) -> KvCache | None:
    if draft.capacity is None or draft.held is None:
        return None
    level = draft.level
    by_length = draft.capacity.by_length(draft.dims.max_position_embeddings, level.max_num_batched_tokens.value)
    return KvCache(
        bytes_per_rank=draft.held.bytes_per_rank,
        tokens=draft.held.tokens,
        concurrency=round(draft.held.concurrency, 2),
        max_model_len=level.max_model_len.value,
        block_tokens=draft.capacity.layout.block_tokens,
        by_length=tuple(HeldAtLength(length=length, concurrency=round(held, 2)) for length, held in by_length),
        basis=draft.capacity.basis,
    )


def _naive(draft: Draft) -> NaiveEstimate | None:
    nominal, each = draft.model.nominal_parameters, draft.form.nominal_bytes_per_parameter
    if nominal is None or each is None or draft.shape.runs_on == "cpu":
        return None
    factor = draft.catalog.rules.naive.overhead_factor
    found = naive.estimate(nominal, each, draft.gpu.nominal_gb, draft.shape.gpus, factor)
    element = ELEMENT_BYTES[draft.kv_cache_dtype.value]
    return NaiveEstimate(
        weights_bytes=found.weights_bytes,
        runtime_bytes=found.runtime_bytes,
        total_memory_bytes=found.total_memory_bytes,
        headroom_bytes=found.headroom_bytes,
        concurrency=round(found.concurrency(draft.dims, element, draft.level.max_model_len.value), 2),
    )


def _sources(draft: Draft) -> dict[str, str]:
    rules, version = draft.catalog.rules, draft.request.engine.version
    table = draft.checker.table
    told = {
        "service level": draft.profile,
        "options": table,
        "disk": rules.disk,
        "CPU memory": rules.host_memory,
        "sequences in production": rules.concurrency,
        "architecture": draft.model.architecture,
    }
    if draft.model.nominal_parameters is not None:
        told["naive estimate"] = rules.naive
    found = {name: f"{fact.source}, {fact.date}" for name, fact in told.items()}
    return found | {"KV cache": f"blocks as the allocator of vLLM {version} counts them, read and run"}


def _cost(draft: Draft) -> Cost:
    volume = draft.request.volume
    size = volume.size_gib * memory.GIB if volume else draft.disk_need_bytes
    return expected(
        price=draft.catalog.prices.nodes.get(draft.request.node.shape),
        prices=draft.catalog.prices,
        terms=draft.request.cost,
        volume_gb=size / fit.GB,
        weights_bytes=draft.checkpoint_bytes,
        market=draft.request.node.market,
    )
