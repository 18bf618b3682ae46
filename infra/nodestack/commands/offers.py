"""`nodestack offers`: what a cloud sells now, cheapest first, and what the plan makes of each."""

import argparse
import json
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from nodestack.automation import files
from nodestack.automation.checkout import find
from nodestack.catalog import Catalog
from nodestack.catalog.prices import Rate
from nodestack.clouds import open_account
from nodestack.clouds.base import Cloud, Offer
from nodestack.commands.account import chosen
from nodestack.commands.selection import catalog_for, selected
from nodestack.errors import CatalogError, CloudError, PlanError, SettingsError
from nodestack.lifecycle import choose
from nodestack.lifecycle.choose import Wish
from nodestack.planning.plan import make_plan
from nodestack.planning.result import Plan
from nodestack.rendering.offers_table import Row, offers_table
from nodestack.rendering.terminal import show
from nodestack.settings import NAMESPACE, Request

Planned = Callable[[float], Plan | str]
"""Returns the plan of a shape at a price in USD an hour, or why there can be none."""


def run(options: argparse.Namespace) -> int:
    """Print the offers as a table or as JSON; 0 when one fits, 1 when none does.

    Raises:
        SettingsError: What is asked for is wrong, or no cloud sells it.
        CloudError: The cloud could not be asked.
    """
    catalog = catalog_for(options)
    account = chosen(options)
    of_stack = files.section(find(Path.cwd()), options.stack, "node") if options.stack else {}
    requests = {shape: _request(options, catalog, shape) for shape in _shapes(options, catalog, of_stack)}
    wishes = {shape: _wish(options, catalog, of_stack, shape) for shape in requests}
    cloud = open_account(account)
    rows, unsold, seen = [], [], set[tuple[str, str, str]]()
    for shape, request in requests.items():
        offers = _asked(cloud, wishes[shape])
        if not offers:
            unsold.append(shape)
        planned = _planner(request, catalog, account.kind) if request else None
        for offer in offers:
            # GPUs on boards will do for a shape without, and are told of once.
            key = (offer.offer_id, offer.provider, offer.region)
            if key not in seen:
                seen.add(key)
                rows.append(_row(account.kind, shape, offer, wishes[shape], planned))
    rows.sort(key=lambda row: (not row.fits, row.usd_per_hour, row.provider, row.region, row.offer_id))
    if options.json:
        print(json.dumps([row.model_dump(mode="json") for row in rows], indent=2))
    else:
        show(offers_table(rows, unsold))
    return int(not any(row.fits for row in rows))


def _shapes(options: argparse.Namespace, catalog: Catalog, of_stack: Mapping[str, Any]) -> list[str]:
    """Return what is asked for: nodes that are named, the stack's, or all that clouds sell one at a time."""
    if options.node:
        return list(options.node)
    if of_stack.get("shape"):
        return [str(of_stack["shape"])]
    shapes = catalog.nodes.shapes.items()
    return [name for name, shape in shapes if shape.runs_on == "gpu" and shape.machines == 1]


def _request(options: argparse.Namespace, catalog: Catalog, shape: str) -> Request | None:
    """Return what is to be planned on a shape; None where only machines are asked for."""
    if not (options.stack or options.model):
        if options.format or options.settings or options.profile:
            raise SettingsError("--format, --profile and --set are about a model: say --model or --stack as well")
        return None
    market = [f"node.market={options.market}"] if options.market else []
    changed = {"node": shape, "kv_bytes_per_gpu": None, "settings": [*options.settings, *market]}
    return selected(argparse.Namespace(**vars(options) | changed), catalog)


def _wish(options: argparse.Namespace, catalog: Catalog, of_stack: Mapping[str, Any], shape: str) -> Wish:
    market = options.market or of_stack.get("market", "on_demand")
    try:
        # All regions are asked for, so that what is elsewhere is told of.
        query = choose.query_of(catalog.shape(shape), market)
    except (CatalogError, CloudError) as error:
        raise SettingsError(f"--node {shape}: {error}") from error
    try:
        return Wish.model_validate(
            {
                "query": {**query.model_dump(), "region": options.region or of_stack.get("region")},
                "image": of_stack.get("image", ""),
                "max_usd_per_hour": options.max_usd_per_hour or of_stack.get("max_usd_per_hour"),
            }
        )
    except ValidationError as invalid:
        keys = ", ".join(sorted({str(each["loc"][-1]) for each in invalid.errors()}))
        raise SettingsError(f"{NAMESPACE}:node of stack {options.stack} is wrong in: {keys}") from None


def _asked(cloud: Cloud, wish: Wish) -> tuple[Offer, ...]:
    return cloud.offers(wish.query.model_copy(update={"region": None}))


def _planner(request: Request, catalog: Catalog, cloud: str) -> Planned:
    today = datetime.now(UTC).date()

    @cache
    def planned(usd_per_hour: float) -> Plan | str:
        # What costs nothing has no price to plan with.
        price = (
            Rate(usd_per_hour=usd_per_hour, cloud=cloud, source="the cloud's offer", date=today)
            if usd_per_hour
            else None
        )
        cost = request.cost.model_copy(update={"live_price": price, "cloud": cloud})
        try:
            return make_plan(request.model_copy(update={"cost": cost}), catalog)
        except (CatalogError, PlanError) as error:
            return str(error)

    return planned


def _row(cloud: str, shape: str, offer: Offer, wish: Wish, planned: Planned | None) -> Row:
    plan = planned(offer.usd_per_hour) if planned else None
    misfits = choose.misfits(offer, wish)
    refusals: Iterable[str] = (plan,) if isinstance(plan, str) else plan.refusals if plan else ()
    reasons = (*refusals, *misfits)
    row = Row(
        cloud=cloud,
        shape=shape,
        offer_id=offer.offer_id,
        provider=offer.provider,
        region=offer.region,
        gpu=offer.gpu,
        gpu_count=offer.gpu_count,
        interconnect=offer.interconnect,
        market=offer.market,
        usd_per_hour=offer.usd_per_hour,
        available=offer.available,
        minimum_runtime_minutes=offer.minimum_runtime_minutes,
        fits=not reasons,
        reasons=reasons,
    )
    return row if plan is None or isinstance(plan, str) else row.model_copy(update=_figures(plan))


def _figures(plan: Plan) -> dict[str, Any]:
    return {
        "model": plan.model,
        "format": plan.format,
        "max_model_len": plan.service_level.max_model_len.value,
        "concurrency": plan.kv.concurrency if plan.kv else None,
        "kv_tokens": plan.kv.tokens if plan.kv else None,
        "usd_per_million_output_tokens": plan.cost.usd_per_million_output_tokens,
        "throughput": plan.cost.throughput_used,
    }
