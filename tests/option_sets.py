"""Sets of engine options for tests: what guides get wrong, and what nodestack plans."""

import shlex

from pydantic import JsonValue

from nodestack.catalog import load
from nodestack.catalog.corrections import Correction, corrections
from nodestack.catalog.engine_options import option_table
from nodestack.catalog.engines import Device
from nodestack.planning.option_checks import Checker
from nodestack.planning.options import engine_options
from nodestack.planning.parallel import Parallel

CATALOG = load()
VERSIONS = sorted(CATALOG.engines)
MODEL = CATALOG.model("trinity-large-thinking")
FORMATS = {"quantised": "fp8-block", "plain": "bf16"}

WRONG_OPTIONS = [
    (correction, version)
    for correction in corrections()
    if correction.subject == "option"
    for version in correction.versions
]
"""Each option that guides get wrong, with each version it is wrong for."""


def label(case: object) -> str:
    return case.guide if isinstance(case, Correction) else str(case)


def as_said(correction: Correction) -> dict[str, JsonValue]:
    """Return what a guide says as an option of a stack."""
    if correction.value is not None:
        return {correction.name: correction.value}
    said = shlex.split(correction.guide)[1:]
    if not said:
        return {correction.name: True}
    return {correction.name: int(said[0]) if said[0].isdigit() else said[0]}


def checker(version: str, weights: str | None = "quantised", device: Device = "gpu") -> Checker:
    form = CATALOG.format("trinity-large-thinking", FORMATS[weights or "quantised"])
    return Checker(CATALOG.engine(version), option_table(version), corrections(), MODEL, form, device)


def planned(parallel: Parallel, runs_on: Device = "gpu", **extra: JsonValue) -> dict[str, JsonValue]:
    """Return options as a plan sets them; names of extra ones with underscores."""
    return engine_options(
        MODEL,
        max_model_len=65536,
        max_num_seqs=64,
        max_num_batched_tokens=8192,
        kv_cache_dtype="fp8" if runs_on == "gpu" else "auto",
        gpu_memory_utilization=0.9,
        extra={name.replace("_", "-"): value for name, value in extra.items()},
        parallel=parallel,
        runs_on=runs_on,
    )
