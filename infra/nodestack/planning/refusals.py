"""Everything that a draft cannot be, and everything about it that will disappoint; each with its arithmetic."""

from collections.abc import Iterator

from nodestack.planning import fit, host, memory, parallel, unverified
from nodestack.planning.capacity import CPU_CACHE_GIB
from nodestack.planning.draft import Draft
from nodestack.planning.option_rules import broken_rules
from nodestack.settings.sections import SIMULATED

SETTING_OF_OPTION = {
    "max-model-len": "serving.max_model_len",
    "max-num-seqs": "serving.max_num_seqs",
    "max-num-batched-tokens": "serving.max_num_batched_tokens",
    "kv-cache-dtype": "serving.kv_cache_dtype",
    "gpu-memory-utilization": "serving.gpu_memory_utilization",
}


def refusals(draft: Draft) -> list[str]:
    """Return why a draft cannot work, all reasons at once; nothing when it can."""
    return [
        *_builds(draft),
        *_sharing(draft),
        *fit.refusals(draft.placement),
        *_sequences(draft),
        *host.memory_refusals(draft.request.node.shape, draft.shape, draft.host_memory),
        *_lengths(draft),
        *_disk(draft),
        *_pin(draft),
        *_smoke(draft),
        *_environment(draft),
        *_own_rules(draft),
        *draft.checked.refusals,
    ]


def warnings(draft: Draft) -> list[str]:
    """Return what will disappoint though it works."""
    held = draft.held.concurrency if draft.held else None
    return [
        *fit.warnings(draft.placement, draft.catalog.rules.concurrency, held, draft.level.max_model_len.value),
        *_preemptions(draft),
        *_not_yet(draft),
        *(finding.text for finding in draft.checker.environment(draft.request.engine.environment)),
        *draft.checked.warnings,
    ]


def _builds(draft: Draft) -> Iterator[str]:
    request = draft.request
    wanted = "cuda" if draft.shape.runs_on == "gpu" else "cpu"
    if request.engine.build != wanted:
        yield (f"engine.build is {request.engine.build!r}, node.shape {request.node.shape!r} runs the {wanted!r} build")
    if request.cloud is not None and draft.shape.runs_on not in _sold_by(request.cloud):
        yield f"cloud.kind {request.cloud!r} has no node of shape {request.node.shape!r}"
    if request.cloud is not None and not draft.engine.on_nodes:
        known = ", ".join(version for version, engine in draft.catalog.engines.items() if engine.on_nodes)
        yield f"engine.version {request.engine.version!r} can be planned, nodes can get {known}"
    if request.cloud is not None and draft.shape.machines > 1:
        yield f"node.shape {request.node.shape!r} is {draft.shape.machines} machines, a stack makes one"


def _sold_by(cloud: str) -> tuple[str, ...]:
    """Return what nodes of a cloud compute on; a simulated one sells nodes of this machine under the names of GPUs."""
    if cloud == "local":
        return ("cpu",)
    return ("cpu", "gpu") if cloud.endswith(SIMULATED) else ("gpu",)


def _sharing(draft: Draft) -> list[str]:
    if draft.shape.runs_on == "cpu":
        return []
    return parallel.refusals(draft.dims, draft.form.quantisation, draft.parallel, draft.shape.gpus)


def _sequences(draft: Draft) -> Iterator[str]:
    """Yield why not one sequence fits; weights that do not fit have said so already."""
    if draft.held is None or draft.held.whole_sequences or draft.held.bytes_per_rank <= 0:
        return
    length, held = draft.level.max_model_len.value, draft.held
    room = f"{held.bytes_per_rank / fit.GB:.3g} GB for the KV cache"
    if draft.capacity and draft.capacity.basis == "estimated":
        room = f"{fit.budget(draft.capacity.tightest)} leaves {room}"
    yield (
        f"not one sequence of {length} tokens fits: {room}, {held.blocks} blocks of "
        f"{held.blocks_per_sequence} that it takes: lower serving.max_model_len"
    )


def _lengths(draft: Draft) -> Iterator[str]:
    longest, chosen = draft.dims.max_position_embeddings, draft.level.max_model_len
    if chosen.value <= longest:
        return
    if draft.request.serving.max_model_len is not None:
        yield f"serving.max_model_len is {chosen.value}, the model knows {longest} positions"
    else:
        asked = draft.request.workload.trace_length_p95
        yield f"workload.trace_length_p95 is {asked}, the model knows {longest} positions"


def _disk(draft: Draft) -> Iterator[str]:
    volume, need = draft.request.volume, draft.disk_need_bytes
    if volume is not None and volume.size_gib * memory.GIB < need:
        size = volume.size_gib * memory.GIB / fit.GB
        yield (
            f"volume.size_gib is {volume.size_gib} ({size:.1f} GB), weights, engine and caches "
            f"need {need / fit.GB:.1f} GB: ask for {-(-need // memory.GIB)} GiB or more"
        )


def _pin(draft: Draft) -> Iterator[str]:
    if draft.request.cloud is not None and draft.commit is None:
        repository = draft.form.repository
        yield f"no commit of {repository} is pinned: set model.commit to 40 hex digits you reviewed"


def _smoke(draft: Draft) -> Iterator[str]:
    if draft.model.smoke_kind not in draft.engine.smoke_kinds:
        yield f"vLLM {draft.request.engine.version} cannot prove {draft.model.smoke_kind}, which the model needs"


def _environment(draft: Draft) -> Iterator[str]:
    variables = draft.request.engine.environment
    yield from unverified.in_environment(variables)
    space = variables.get(CPU_CACHE_GIB)
    if space is not None and draft.shape.runs_on == "cpu" and not (space.isdecimal() and int(space)):
        yield f"engine.environment.{CPU_CACHE_GIB} is {space!r}: it takes whole GiB, 1 or more"


def _own_rules(draft: Draft) -> Iterator[str]:
    """Yield rules that are broken among what nodestack sets itself, by the names that a stack has for it."""
    options = draft.planned_options
    for rule, said in broken_rules(draft.engine.rules, options, draft.shape.runs_on, draft.form):
        name = SETTING_OF_OPTION.get(rule.option, rule.option)
        yield f"{name} is {options.get(rule.option)!r}, which {said}"


def _preemptions(draft: Draft) -> Iterator[str]:
    if draft.held is None or draft.request.serving.max_num_seqs is None:
        return
    asked, held = draft.request.serving.max_num_seqs, draft.held
    if held.whole_sequences < asked and draft.shape.runs_on == "gpu":
        yield (
            f"serving.max_num_seqs is {asked}, the cache holds {held.whole_sequences} sequences of "
            f"{draft.level.max_model_len.value} tokens: more that grow so long are preempted and computed again"
        )


def _not_yet(draft: Draft) -> Iterator[str]:
    if draft.request.cloud is None and draft.commit is None:
        yield f"no commit of {draft.form.repository} is known: a stack has to set model.commit to one you reviewed"
    if draft.request.cloud is None and draft.shape.machines > 1:
        yield f"{draft.request.node.shape} is {draft.shape.machines} machines: it can be planned, a stack makes one"
