"""`nodestack report`: a plan with its plots as one page, beside what engines logged on such nodes."""

import argparse

from nodestack.catalog import Catalog
from nodestack.catalog.measurements import Start
from nodestack.commands.selection import catalog_for, kv_bytes, selected
from nodestack.errors import NodestackError
from nodestack.planning.plan import make_plan
from nodestack.rendering.page import Logged, page
from nodestack.settings import Request


def run(options: argparse.Namespace) -> int:
    """Write the page; 0 when the plan fits, 1 when it does not.

    Raises:
        NodestackError: The page cannot be written.
    """
    catalog = catalog_for(options)
    request = selected(options, catalog)
    plan = make_plan(request, catalog, kv_bytes(options.kv_bytes_per_gpu))
    starts = (start for start in catalog.measurements if _same(start, request))
    html = page(plan, [logged(start, request, catalog) for start in starts])
    try:
        options.output.write_text(html, encoding="utf-8")
    except OSError as error:
        raise NodestackError(f"--output {options.output}: {error.strerror}") from error
    print(f"{options.output}: {'it fits' if plan.fits else 'it does not fit'}, {len(html) // 1000} kB")
    return int(not plan.fits)


def logged(start: Start, request: Request, catalog: Catalog) -> Logged:
    """Return what was logged beside plans for the same settings: with memory as estimated, and as logged."""
    same = {
        "max_model_len": start.max_model_len,
        "max_num_batched_tokens": start.max_num_batched_tokens,
        "kv_cache_dtype": start.kv_cache_dtype,
        "gpu_memory_utilization": start.gpu_memory_utilization,
        "tensor_parallel_size": start.tensor_parallel_size,
    }
    engine = request.engine.model_copy(update={"version": start.engine_version})
    asked = request.model_copy(update={"serving": request.serving.model_copy(update=same), "engine": engine})
    return Logged(
        start=start,
        estimated=make_plan(asked, catalog),
        given=make_plan(asked, catalog, start.kv_bytes_per_gpu),
    )


def _same(start: Start, request: Request) -> bool:
    return (start.model, start.format, start.shape) == (request.model.name, request.model.format, request.node.shape)
