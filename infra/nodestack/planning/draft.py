"""From a request to everything a plan tells, one step at a time."""

from functools import cached_property

from pydantic import JsonValue

from nodestack.catalog import Catalog
from nodestack.catalog.corrections import corrections
from nodestack.catalog.engine_options import option_table
from nodestack.errors import PlanError
from nodestack.planning import fit, host, kv_cache, memory, parallel, weights
from nodestack.planning.capacity import Capacity, block_tokens, cache_bytes
from nodestack.planning.dimensions import Dimensions, dimensions
from nodestack.planning.option_checks import Checked, Checker
from nodestack.planning.options import engine_options
from nodestack.planning.parallel import Parallel
from nodestack.planning.service_level import Choice, Chooser, ServiceLevel, choose
from nodestack.settings.sections import Request

ELEMENT_BYTES = {"fp8": 1, "auto": 2}
"""Bytes of one number in the KV cache; `auto` follows the models served here, which compute in bfloat16."""


class Draft:
    """What is asked for, and step by step what follows from it; each step is made once, when it is first looked at.

    Attributes:
        request: What a stack, or a line of the command line, asks for.
        catalog: Facts.
        kv_bytes_per_gpu: Memory for the KV cache on each GPU in bytes where the asker knows it, else None.
    """

    def __init__(self, request: Request, catalog: Catalog, kv_bytes_per_gpu: int | None = None) -> None:
        """Look up what the request names.

        Raises:
            CatalogError: A name is not known.
            PlanError: The format is not served, so that nothing of it can be reckoned.
        """
        self.request, self.catalog, self.kv_bytes_per_gpu = request, catalog, kv_bytes_per_gpu
        self.model = catalog.model(request.model.name)
        self.form = catalog.format(request.model.name, request.model.format)
        self.shape = catalog.shape(request.node.shape)
        self.gpu = catalog.gpu(request.node.shape)
        self.engine = catalog.engine(request.engine.version)
        self.profile = catalog.profiles.profiles[request.serving.profile]
        if refused := fit.format_refusals(request.model.format, self.form):
            raise PlanError("; ".join(refused))
        self.form_name = f"models.{request.model.name}.formats.{request.model.format}"

    @cached_property
    def dims(self) -> Dimensions:
        """The model's numbers; raises CatalogError when one is missing."""
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
        """Format of the KV cache, on which its size rests."""
        return self.chooser.kv_cache_dtype(self.shape.runs_on)

    @cached_property
    def chooser(self) -> Chooser:
        """Chooses the numbers of the service level."""
        return Chooser(self.catalog.profiles, self.profile, self.request.serving)

    @cached_property
    def stages(self) -> tuple[memory.RankMemory, ...]:
        """Memory of one GPU of each pipeline stage; none on a CPU."""
        if self.shape.runs_on == "cpu":
            return ()
        utilization = self.request.serving.gpu_memory_utilization
        return tuple(
            memory.of_rank(self.gpu.visible_mib, utilization, rank, self.engine.overhead_gib)
            for rank in weights.of_ranks(self.form_name, self.dims, self.form, self.parallel)
        )

    @cached_property
    def capacity(self) -> Capacity | None:
        """What the node has room for, or None where nothing says how large the cache is."""
        found = cache_bytes(self.stages, self.kv_bytes_per_gpu, self.request.engine.environment, self.parallel.pipeline)
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
        """The numbers that the engine is started with."""
        concurrency = self.capacity.concurrency if self.capacity else None
        longest = self.dims.max_position_embeddings
        return choose(self.chooser, self.request.workload, longest, self.kv_cache_dtype, concurrency)

    @cached_property
    def held(self) -> kv_cache.CacheCapacity | None:
        """What the cache holds at these numbers."""
        if self.capacity is None:
            return None
        return self.capacity.at(self.level.max_model_len.value, self.level.max_num_batched_tokens.value)

    @property
    def read_ahead(self) -> dict[str, JsonValue]:
        """The option that has weights read ahead of loading, where the engine can and the page cache may hold them.

        A machine whose memory nobody knows counts as large enough: those that GPU clouds sell have more of it than
        their GPUs. Where another loader is asked for, it reads in its own way.
        """
        way, has_gib = self.engine.read_ahead, self.shape.memory_gib
        too_small = has_gib is not None and has_gib * host.GIB < self.host_memory.prefetch_bytes
        if way is None or too_small or "load-format" in self.request.serving.options:
            return {}
        return {way.option: way.value}

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
            extra={**self.read_ahead, **self.profile.options},
            parallel=self.parallel,
            runs_on=self.shape.runs_on,
        )

    @cached_property
    def checker(self) -> Checker:
        """Checks options for this engine, model and device."""
        table = option_table(self.request.engine.version)
        return Checker(self.engine, table, corrections(), self.model, self.form, self.shape.runs_on)

    @cached_property
    def checked(self) -> Checked:
        """The stack's own options, checked."""
        return self.checker.check(self.request.serving.options, self.planned_options)

    @cached_property
    def placement(self) -> fit.Placement:
        """The weights on the node's GPUs."""
        node, name = self.request.node, self.request.model.format
        return fit.Placement(
            name, self.form, node.shape, self.shape, self.gpu, self.parallel, self.stages, node.purpose
        )

    @cached_property
    def checkpoint_bytes(self) -> int:
        """Size of all files of the weights."""
        return weights.checkpoint_bytes(self.form_name, self.dims, self.form)

    @cached_property
    def host_memory(self) -> host.HostMemory:
        """What one machine needs of its own memory."""
        return host.memory_need(
            self.checkpoint_bytes,
            -(-self.parallel.ranks // self.shape.machines),
            self.shape.runs_on,
            self.catalog.rules.host_memory,
            fast_fetch=self.request.model.allow_high_performance_fetch,
        )

    @cached_property
    def disk_need_bytes(self) -> int:
        """What the weights volume must hold."""
        return host.disk_need_bytes(self.checkpoint_bytes, self.form, self.shape.runs_on, self.catalog.rules.disk)

    @property
    def commit(self) -> str | None:
        """The pin: the stack's own, or the catalogue's where it has one."""
        return self.request.model.commit or self.form.commit
