"""`nodestack compare`: shapes, formats and markets side by side, cheapest output tokens first."""

import argparse
import json
from collections.abc import Iterator

from nodestack.catalog import Catalog
from nodestack.catalog.prices import Market
from nodestack.commands.selection import catalog_for, selected_each
from nodestack.errors import CatalogError, PlanError
from nodestack.planning.plan import make_plan
from nodestack.rendering.comparison import Row, comparison
from nodestack.rendering.terminal import show
from nodestack.settings import Request

MARKETS: tuple[Market, ...] = ("on_demand", "spot")


def run(options: argparse.Namespace) -> int:
    """Print the comparison as tables or as JSON; 0 when something fits, 1 when nothing does."""
    catalog = catalog_for(options)
    rows = sorted((row for request in selected_each(options, catalog) for row in _rows(request, catalog)), key=_rank)
    if options.json:
        print(json.dumps([row.model_dump(mode="json") for row in rows], indent=2))
    else:
        show(comparison(rows))
    return int(not any(row.fits for row in rows))


def _rows(request: Request, catalog: Catalog) -> Iterator[Row]:
    """Yield a row for each market that has a price, or one when none has."""
    price = catalog.prices.nodes.get(request.node.shape)
    markets = [market for market in MARKETS if price and getattr(price, market)]
    for market in markets or MARKETS[:1]:
        node = request.node.model_copy(update={"market": market})
        yield _row(request.model_copy(update={"node": node}), catalog)


def _row(request: Request, catalog: Catalog) -> Row:
    shape, name, market = request.node.shape, request.model.format, request.node.market
    try:
        plan = make_plan(request, catalog)
    except (CatalogError, PlanError) as error:
        return Row(shape=shape, format=name, market=market, fits=False, refusals=(str(error),))
    return Row(
        shape=shape,
        format=name,
        market=market,
        fits=plan.fits,
        refusals=plan.refusals,
        tensor_parallel_size=plan.parallel.tensor_parallel_size,
        pipeline_parallel_size=plan.parallel.pipeline_parallel_size,
        kv_tokens=plan.kv.tokens if plan.kv else None,
        concurrency=plan.kv.concurrency if plan.kv else None,
        max_model_len=plan.service_level.max_model_len.value,
        usd_per_hour=plan.cost.usd_per_hour,
        usd_per_million_output_tokens=plan.cost.usd_per_million_output_tokens,
        throughput=plan.cost.throughput_used,
    )


def _rank(row: Row) -> tuple[bool, float, float, str]:
    """Sort what fits before what does not, by the worst price a token, then by the hour; unknown prices last."""
    unknown = float("inf")
    tokens = row.usd_per_million_output_tokens[1] if row.usd_per_million_output_tokens else unknown
    hour = row.usd_per_hour if row.usd_per_hour is not None else unknown
    return not row.fits, tokens, hour, f"{row.shape} {row.format}"
