"""Join request and catalogue into a plan: whether it works, what it holds, with which options, at what cost, and why."""

from dataclasses import dataclass
from functools import cached_property

from pydantic import JsonValue

from nodestack.catalog import Catalog
from nodestack.catalog.corrections import corrections
from nodestack.catalog.engine_options import option_table
from nodestack.errors import PlanError
from nodestack.planning import fit, host, kv_cache, memory, naive, parallel, refusals, weights
from nodestack.planning.capacity import Capacity, block_tokens, cache_bytes
from nodestack.planning.cost import Cost, expected
from nodestack.planning.dimensions import Dimensions, dimensions
from nodestack.planning.option_checks import Checked, Checker
from nodestack.planning.options import engine_options, serve_command
from nodestack.planning.parallel import Parallel
from nodestack.planning.result import HeldAtLength, KvCache, NaiveEstimate, ParallelSizes, Plan, RankBudget
from nodestack.planning.service_level import Chooser, Choice, ServiceLevel, choose
from nodestack.settings.sections import Request

PORT = 8000
WEIGHTS_DIRECTORY = "/srv/nodestack/weights/current"
ELEMENT_BYTES = {"fp8": 1, "auto": 2}
"""Bytes of one number in the KV cache; `auto` follows the models served here, which compute in bfloat16."""


def make_plan(request: Request, catalog: Catalog, kv_bytes_per_gpu: int | None = None) -> Plan:
    """Return the plan of a request; what cannot work comes back as refusals, all of them.

    Args:
        request: What a stack, or a line of the command line, asks for.
        catalog: Facts.
        kv_bytes_per_gpu: Memory for the KV cache on each GPU in bytes, where an engine's log said it; in place of the estimate.

    Raises:
        CatalogError: The request names something the catalogue does not have, or has without a number that is needed.
    """
    return _Planning(request, catalog, kv_bytes_per_gpu).plan()


def require(plan: Plan) -> Plan:
    """Return the plan when it works.

    Raises:
        PlanError: It does not; one line for each reason, with its arithmetic.
    """
    if not plan.fits:
        raise PlanError("\n  ".join(["this stack cannot work:", *plan.refusals]))
    return plan


@dataclass
class _Planning:
    """One plan in the making: each step once, from what the steps before found."""

    request: Request
    catalog: Catalog
    kv_bytes_per_gpu: int | None

    def __post_init__(self) -> None:
        request, catalog = self.request, self.catalog
        self.model = catalog.model(request.model.name)
        self.form = catalog.format(request.model.name, request.model.format)
        self.shape = catalog.shape(request.node.shape)
        self.gpu = catalog.gpu(request.node.shape)
        self.engine = catalog.engine(request.engine.version)
        self.profile = catalog.profiles.profiles[request.serving.profile]
        self.form_name = f"models.{request.model.name}.formats.{request.model.format}"

    @cached_property
    def dims(self) -> Dimensions:
        return dimensions(self.request.model.name, self.model.architecture)

    @cached_property
    def parallel(self) -> Parallel:
        """As the stack asks, or the widest tensor parallelism that works."""
        serving = self.request.serving
        if self.shape.runs_on == "cpu":
            return Parallel(1)
        chosen = parallel.choose(self.dims, self.form.quantisation, self.shape.gpu_count, self.shape.machines)
        tensor, pipeline = serving.tensor_parallel_size, serving.pipeline_parallel_size
        if tensor is None and pipeline is not None:
            tensor = max(self.shape.gpus // pipeline, 1)
        elif tensor is not None and pipeline is None:
            pipeline = max(self.shape.gpus // tensor, 1)
        return Parallel(tensor or chosen.tensor, pipeline or chosen.pipeline, serving.enable_expert_parallel)

    @cached_property
    def kv_cache_dtype(self) -> Choice[str]:
        return self.chooser.kv_cache_dtype(self.shape.runs_on)

    @cached_property
    def chooser(self) -> Chooser:
        return Chooser(self.catalog.profiles, self.profile, self.request.serving)

    @cached_property
    def stages(self) -> tuple[memory.RankMemory, ...]:
        if self.shape.runs_on == "cpu":
            return ()
        utilization = self.request.serving.gpu_memory_utilization
        return tuple(
            memory.of_rank(self.gpu.visible_mib, utilization, rank, self.engine.overhead_gib)
            for rank in weights.of_ranks(self.form_name, self.dims, self.form, self.parallel)
        )

    @cached_property
    def capacity(self) -> Capacity | None:
        found = cache_bytes(
            self.stages, self.kv_bytes_per_gpu, self.request.engine.environment, self.parallel.pipeline
        )
        if found is None:
            return None
        options = self.request.serving.options
        layout = kv_cache.layout(
            self.dims,
            tensor=self.parallel.tensor,
            pipeline=self.parallel.pipeline,
            bytes_per_element=ELEMENT_BYTES[self.kv_cache_dtype.value],
            block_tokens=block_tokens(options, getattr(self.engine.block_tokens, self.shape.runs_on)),
            hybrid=options.get("disable-hybrid-kv-cache-manager") is not True,
            steps_in_flight=self.engine.steps_in_flight.of(self.parallel.pipeline, self.shape.runs_on),
        )
        return Capacity(self.stages, layout, *found)

    @cached_property
    def level(self) -> ServiceLevel:
        concurrency = self.capacity.concurrency if self.capacity else None
        longest = self.dims.max_position_embeddings
        return choose(self.chooser, self.request.workload, longest, self.kv_cache_dtype, concurrency)

    @cached_property
    def held(self) -> kv_cache.CacheCapacity | None:
        if self.capacity is None:
            return None
        return self.capacity.at(self.level.max_model_len.value, self.level.max_num_batched_tokens.value)

    @cached_property
    def planned_options(self) -> dict[str, JsonValue]:
        """What nodestack sets, before the stack's own."""
        level = self.level
        return engine_options(
            self.model,
            max_model_len=level.max_model_len.value,
            max_num_seqs=level.max_num_seqs.value,
            max_num_batched_tokens=level.max_num_batched_tokens.value,
            kv_cache_dtype=level.kv_cache_dtype.value,
            gpu_memory_utilization=self.request.serving.gpu_memory_utilization,
            extra=self.profile.options,
            parallel=self.parallel,
            runs_on=self.shape.runs_on,
        )

    @cached_property
    def checker(self) -> Checker:
        table = option_table(self.request.engine.version)
        return Checker(self.engine, table, corrections(), self.model, self.form, self.shape.runs_on)

    @cached_property
    def checked(self) -> Checked:
        return self.checker.check(self.request.serving.options, self.planned_options)

    @cached_property
    def placement(self) -> fit.Placement:
        node, name = self.request.node, self.request.model.format
        return fit.Placement(
            name, self.form, node.shape, self.shape, self.gpu, self.parallel, self.stages, node.purpose
        )

    @cached_property
    def checkpoint_bytes(self) -> int:
        return weights.checkpoint_bytes(self.form_name, self.dims, self.form)

    @cached_property
    def disk_need_bytes(self) -> int:
        return host.disk_need_bytes(self.checkpoint_bytes, self.form, self.shape.runs_on, self.catalog.rules.disk)

    def plan(self) -> Plan:
        request, level = self.request, self.level
        refused, warned = refusals.refusals(self), refusals.warnings(self)
        options = self.planned_options | self.checked.options
        ranks_each = -(-self.parallel.ranks // self.shape.machines)
        licence = self.model.licence
        return Plan(
            model=request.model.name,
            format=request.model.format,
            shape=request.node.shape,
            engine_version=request.engine.version,
            fits=not refused,
            refusals=tuple(refused),
            warnings=tuple(warned),
            repository=self.form.repository,
            commit=request.model.commit or self.form.commit,
            licence=f"{licence.name} ({licence.source}, {licence.date})" if licence else "not known",
            served_model_name=self.model.served_model_name,
            smoke_kind=self.model.smoke_kind,
            parallel=ParallelSizes(
                tensor_parallel_size=self.parallel.tensor,
                pipeline_parallel_size=self.parallel.pipeline,
                expert_parallel=self.parallel.expert,
            ),
            memory_per_rank=self._memory(),
            kv=self._kv(),
            naive=self._naive(),
            service_level=level,
            options=options,
            serve_command=serve_command(
                WEIGHTS_DIRECTORY, {"served-model-name": self.model.served_model_name, **options}
            ),
            cost=self._cost(),
            disk_need_bytes=self.disk_need_bytes,
            host_memory_need_bytes=host.memory_need(
                self.checkpoint_bytes,
                ranks_each,
                self.shape.runs_on,
                self.catalog.rules.host_memory,
                fast_fetch=request.model.allow_high_performance_fetch,
            ).need_bytes,
            overridden=self.catalog.overridden,
        )

    def _memory(self) -> RankBudget | None:
        if not self.stages:
            return None
        rank = memory.tightest(self.stages)
        return RankBudget(
            stage=rank.weights.stage,
            visible_bytes=rank.visible_bytes,
            usable_bytes=rank.usable_bytes,
            weights_bytes={str(part): size for part, size in rank.weights.parts.items()},
            overhead_bytes=rank.overhead_bytes,
            kv_bytes=rank.kv_bytes,
            basis=f"memory: {self.gpu.source}; weights: {self.form.source}; overhead: {self.engine.source}",
        )

    def _kv(self) -> KvCache | None:
        if self.capacity is None or self.held is None:
            return None
        level = self.level
        by_length = self.capacity.by_length(self.dims.max_position_embeddings, level.max_num_batched_tokens.value)
        return KvCache(
            bytes_per_rank=self.held.bytes_per_rank,
            tokens=self.held.tokens,
            concurrency=round(self.held.concurrency, 2),
            max_model_len=level.max_model_len.value,
            block_tokens=self.capacity.layout.block_tokens,
            by_length=tuple(HeldAtLength(length=length, concurrency=round(held, 2)) for length, held in by_length),
            basis=self.capacity.basis,
        )

    def _naive(self) -> NaiveEstimate | None:
        nominal, each = self.model.nominal_parameters, self.form.nominal_bytes_per_parameter
        if nominal is None or each is None or self.shape.runs_on == "cpu":
            return None
        factor = self.catalog.rules.naive.overhead_factor
        found = naive.estimate(nominal, each, self.gpu.nominal_gb, self.shape.gpus, factor)
        element = ELEMENT_BYTES[self.kv_cache_dtype.value]
        return NaiveEstimate(
            weights_bytes=found.weights_bytes,
            runtime_bytes=found.runtime_bytes,
            total_memory_bytes=found.total_memory_bytes,
            headroom_bytes=found.headroom_bytes,
            concurrency=round(found.concurrency(self.dims, element, self.level.max_model_len.value), 2),
        )

    def _cost(self) -> Cost:
        volume = self.request.volume
        size = volume.size_gib * memory.GIB if volume else self.disk_need_bytes
        return expected(
            price=self.catalog.prices.nodes.get(self.request.node.shape),
            prices=self.catalog.prices,
            terms=self.request.cost,
            volume_gb=size / fit.GB,
            weights_bytes=self.checkpoint_bytes,
        )
