"""Our arithmetic against the functions that the engine itself calls, over a grid of shapes and limits."""

import dataclasses
import json
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import pytest

from engine_environment import environment
from nodestack.catalog import load
from nodestack.clouds.local import tiny_model
from nodestack.planning.dimensions import Dimensions, dimensions
from nodestack.planning.kv_cache import CacheLayout, bytes_needed, capacity, layout, longest_context

CATALOG = load()
TRINITY = dimensions("trinity-large-thinking", CATALOG.model("trinity-large-thinking").architecture)
MIB = 2**20
GIB = 2**30
# The log of a 4x H200 start rounds these bytes to 26.73 GiB.
MEASURED_BYTES = 233_551 * 122_880


@dataclass(frozen=True)
class Case:
    """What the allocator is asked, as on a GPU; `asynchronous` is the option async-scheduling, on where nobody says."""

    dims: Dimensions
    tensor: int
    pipeline: int = 1
    bytes_per_element: int = 1
    block_tokens: int = 16
    hybrid: bool = True
    asynchronous: bool = True
    max_model_len: int = 65536
    max_num_batched_tokens: int = 8192
    bytes_by_stage: tuple[int, ...] = ()
    blocks: int | None = None

    def asked(self) -> dict[str, object]:
        dims = self.dims
        period = dims.layers // dims.layers_full if dims.layers_full else dims.layers + 1
        kinds = ["sliding_attention" if (layer + 1) % period else "full_attention" for layer in range(dims.layers)]
        assert kinds.count("full_attention") == dims.layers_full
        found = {field.name: getattr(self, field.name) for field in dataclasses.fields(self) if field.name != "dims"}
        found |= {name: getattr(dims, name) for name in ("kv_heads", "head_dim", "sliding_window")}
        return found | {"layer_types": kinds}

    def layout(self, version: str) -> CacheLayout:
        steps = CATALOG.engine(version).steps_in_flight
        one_after_the_other = self.pipeline if steps.of_each_stage else 1
        return layout(
            self.dims,
            tensor=self.tensor,
            pipeline=self.pipeline,
            bytes_per_element=self.bytes_per_element,
            block_tokens=self.block_tokens,
            hybrid=self.hybrid,
            steps_in_flight=steps.of(self.pipeline, "gpu") if self.asynchronous else one_after_the_other,
        )

    def predicted(self, version: str) -> dict[str, object]:
        cache = self.layout(version)
        held = capacity(cache, self.bytes_by_stage, self.max_model_len, self.max_num_batched_tokens, blocks=self.blocks)
        return {"blocks": held.blocks, "tokens": held.tokens, "concurrency": held.concurrency}


def grid() -> Iterator[Case]:
    shapes = [(8, 1), (4, 1), (2, 1), (16, 1), (1, 3), (8, 2), (1, 7), (2, 4)]
    limits = [(4096, 2048), (65536, 8192), (65536, 65536), (100_001, 8191), (262144, 8192)]
    for (tensor, pipeline), (length, batched), element, gib in product(shapes, limits, (1, 2), (30, 71.3)):
        yield Case(
            TRINITY,
            tensor,
            pipeline,
            element,
            max_model_len=length,
            max_num_batched_tokens=batched,
            bytes_by_stage=tuple(int(gib * GIB) + stage * 777 * MIB for stage in range(pipeline)),
        )
    for full, sliding in [(60, 0), (0, 60), (10, 50), (12, 12), (31, 31), (7, 28)]:
        dims = dataclasses.replace(TRINITY, layers_full=full, layers_sliding=sliding)
        for hybrid, pipeline in product((True, False), (1, 2, 3)):
            yield Case(dims, 4, pipeline, 2, hybrid=hybrid, bytes_by_stage=(60 * GIB,) * pipeline)
    for block_tokens, asynchronous in product((16, 32, 128), (True, False)):
        yield Case(TRINITY, 4, 1, 4, block_tokens=block_tokens, asynchronous=asynchronous, bytes_by_stage=(60 * GIB,))
    yield Case(TRINITY, 4, bytes_by_stage=(60 * GIB,), blocks=20_000)
    yield Case(TRINITY, 4, max_model_len=262144, bytes_by_stage=(MEASURED_BYTES,))


def answers(version: str, cases: list[Case], directory: Path) -> list[dict[str, object]]:
    asked, answered = directory / "cases.json", directory / "answers.json"
    checkpoint = str(tiny_model.checkpoint())
    asked.write_text(json.dumps({"checkpoint": checkpoint, "cases": [case.asked() for case in cases]}))
    run = subprocess.run(
        # -P: what lies beside the script shall not stand in for modules of the engine.
        [environment(version), "-P", Path(__file__).with_name("allocator_grid.py"), asked, answered],
        env={**os.environ, "VLLM_NO_USAGE_STATS": "1", "HF_HUB_OFFLINE": "1", "VLLM_CPU_KVCACHE_SPACE": "1"},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert run.returncode == 0, run.stderr[-3000:]
    found: list[dict[str, object]] = json.loads(answered.read_text())
    return found


@pytest.mark.qualify
@pytest.mark.vllm
@pytest.mark.parametrize("version", ["0.23.0", "0.32.0"])
def test_the_allocator_itself_gives_the_same_blocks_tokens_and_concurrency(version: str, tmp_path: Path) -> None:
    cases = list(grid())
    needs = [_just_enough(case, version) for case in cases[:40]]
    too_little = [_less(case, version) for case in needs]
    found = answers(version, [*cases, *needs, *too_little], tmp_path)
    for case, answer in zip([*cases, *needs], found, strict=False):
        assert answer == case.predicted(version), case
    for case, answer in zip(too_little, found[-len(too_little) :], strict=True):
        longest = longest_context(
            case.layout(version), case.bytes_by_stage, case.max_num_batched_tokens, case.max_model_len
        )
        assert longest < case.max_model_len
        assert "KV cache is needed" in str(answer.get("error")), case


def _just_enough(case: Case, version: str) -> Case:
    """Return the case with the memory that one sequence needs."""
    need = bytes_needed(case.layout(version), 1, case.max_model_len, case.max_num_batched_tokens)
    return dataclasses.replace(case, bytes_by_stage=(need,) * case.pipeline)


def _less(case: Case, version: str) -> Case:
    """Return the case with one byte less; 0.23.0 does not see the pool's own block, so less that one too."""
    cache = case.layout(version)
    less = 1 + (max(cache.block_bytes) if version == "0.23.0" else 0)
    return dataclasses.replace(case, bytes_by_stage=tuple(size - less for size in case.bytes_by_stage))
