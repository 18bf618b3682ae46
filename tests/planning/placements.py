"""Formats of Trinity on node shapes of the catalogue, for tests."""

from pathlib import Path
from typing import Any

import yaml

from nodestack.catalog import load
from nodestack.planning import memory, weights
from nodestack.planning.dimensions import Dimensions, dimensions
from nodestack.planning.fit import Placement, Purpose
from nodestack.planning.parallel import Parallel, choose

CATALOG = load()
MODEL = CATALOG.model("trinity-large-thinking")
TRINITY: Dimensions = dimensions("trinity-large-thinking", MODEL.architecture)
TABLES: dict[str, Any] = yaml.safe_load(Path(__file__).with_name("hardware_tables.yaml").read_text())


def rank_weights(form: str, parallel: Parallel) -> tuple[weights.RankWeights, ...]:
    return weights.of_ranks(f"models.trinity-large-thinking.formats.{form}", TRINITY, MODEL.formats[form], parallel)


def stages(shape: str, form: str, parallel: Parallel) -> tuple[memory.RankMemory, ...]:
    overhead_gib = CATALOG.engine("0.23.0").overhead_gib
    mib = CATALOG.gpu(shape).visible_mib
    return tuple(memory.of_rank(mib, 0.90, rank, overhead_gib) for rank in rank_weights(form, parallel))


def placement(shape: str, form: str, purpose: Purpose = "production", parallel: Parallel | None = None) -> Placement:
    entry, node = MODEL.formats[form], CATALOG.shape(shape)
    sizes = parallel or choose(TRINITY, entry.quantisation, node.gpu_count, node.machines)
    return Placement(form, entry, shape, node, CATALOG.gpu(shape), sizes, stages(shape, form, sizes), purpose)
