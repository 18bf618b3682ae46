"""What a stack costs: by the hour, by the month, by the million output tokens, and beside an API."""

from typing import Literal

from nodestack.catalog.names import suggestion
from nodestack.catalog.prices import CloudBilling, Market, NodePrice, Prices, Rate
from nodestack.errors import CatalogError
from nodestack.planning.break_even import ApiSide, BreakEven, api_side
from nodestack.planning.cost_figures import Figures, Usd
from nodestack.planning.cost_terms import CostTerms
from nodestack.planning.cost_tokens import Bill, TokenCost, token_cost
from nodestack.planning.cost_volume import VolumeRent, rent
from nodestack.planning.lifetime import Preemptions, Run, TimeToServe, preemptions, run, time_to_serve


class Cost(Figures):
    """Expected cost of a stack, as its outputs show it.

    Attributes:
        usd_per_hour: The node, while it exists; None when no price is known.
        usd_per_month: The same over the price list's month.
        usd_per_million_output_tokens: Best and worst of the throughput in use, or None when there is none.
        basis: Where price and throughput come from, or why the stack is free.
        headline: All of it in one line, with the kind of throughput that it rests on.
        caveats: What is not counted because nobody said it, and how to say it.
        market: `on_demand` or `spot`.
        utilisation: Share of full throughput that all prices of tokens are at.
        throughput_used: Whose numbers the headline has: measured before assumed, never those seen elsewhere.
        volume: Rent of the weights' volume, all that a parked stack costs; None when its size or rent is not known.
        time_to_serve: From the order until tokens come.
        preemptions: What they take.
        run: One node from order to deletion.
        tokens: What tokens cost, for each throughput that is known.
    """

    usd_per_hour: float | None
    usd_per_month: Usd | None
    usd_per_million_output_tokens: tuple[Usd, Usd] | None
    basis: str
    headline: str
    caveats: tuple[str, ...] = ()
    market: Market
    utilisation: float
    throughput_used: Literal["assumed", "measured"] | None = None
    volume: VolumeRent | None = None
    time_to_serve: TimeToServe | None = None
    preemptions: Preemptions | None = None
    run: Run | None = None
    tokens: tuple[TokenCost, ...] = ()


def expected(  # noqa: PLR0913 - each by name
    price: NodePrice | None,
    prices: Prices,
    terms: CostTerms,
    volume_gb: float | None = None,
    weights_bytes: int | None = None,
    *,
    market: Market = "on_demand",
) -> Cost:
    """Return the expected cost of a stack.

    4x H200 on demand break even with the guide's API at 426 M output tokens a month, 59 % of the best throughput, as
    long as nothing but the node and the output counts. With a volume of 600 GB and the first start it is 428 M: 60 % of
    the best throughput, but 85 % of the worst. With 3 input tokens for each output token, which the API bills too, it
    is 268 M, 37 to 53 %; and 8x H100 on demand, which never break even on output alone, then do at their best.

    Args:
        price: The shape's entry in the price list, or None when it has none.
        prices: The price list.
        terms: What the stack says about its cost.
        volume_gb: Size of the weights' volume in GB (10^9 bytes), 0 or more, or None when there is none.
        weights_bytes: Size of the weights, or None when it is not known.
        market: How the node is bought.

    Raises:
        CatalogError: The API to compare with is not known; the message names those that are.
    """
    price = price or NodePrice()
    sides = _api_sides(prices, terms)
    rate = terms.live_price or (price.on_demand if market == "on_demand" else price.spot)
    if rate is None and price.free_because:
        return _free(price.free_because, terms, market)
    cloud = terms.cloud or (rate.cloud if rate else None)
    volume = rent(volume_gb, cloud, prices)
    start = time_to_serve(terms, prices.assumptions, weights_bytes, rate.usd_per_hour if rate else None)
    taken = preemptions(terms, market, start)
    if rate is None:
        return _unpriced(terms, market, volume, start, taken)
    hours = terms.run_hours or prices.hours_per_month
    billing = prices.clouds.get(cloud or "", CloudBilling())
    once = run(hours, (rate.usd_per_hour, volume.usd_per_hour if volume else 0.0), billing, (start, taken))
    bill = Bill(rate.usd_per_hour, prices.hours_per_month, once, terms.utilisation, *sides)
    known = (price.assumed_tokens_per_hour, price.seen_tokens_per_hour, terms.measured)
    tokens = tuple(token_cost(throughput, bill) for throughput in known if throughput)
    used = _used(tokens)
    return Cost(
        usd_per_hour=rate.usd_per_hour,
        usd_per_month=rate.usd_per_hour * prices.hours_per_month,
        usd_per_million_output_tokens=used.usd_per_million_output_tokens if used else None,
        basis=_basis(rate, used),
        headline=_headline(rate, terms, market, used),
        caveats=(*_caveats(rate, cloud, terms, volume, start), *_preemption_caveats(terms, market)),
        market=market,
        utilisation=terms.utilisation,
        throughput_used=_kind(used),
        volume=volume,
        time_to_serve=start,
        preemptions=taken,
        run=once,
        tokens=tokens,
    )


def _api_sides(prices: Prices, terms: CostTerms) -> tuple[ApiSide, ApiSide]:
    name = terms.api or prices.assumptions.api
    if name not in prices.apis:
        raise CatalogError(f"cost.api is {name!r}, known are: {suggestion(name, prices.apis)}")
    api = prices.apis[name]
    return api_side(name, api, 0), api_side(name, api, terms.input_tokens_per_output_token)


def _used(tokens: tuple[TokenCost, ...]) -> TokenCost | None:
    by_kind = {each.throughput.kind: each for each in tokens}
    return by_kind.get("measured") or by_kind.get("assumed")


def _kind(used: TokenCost | None) -> Literal["assumed", "measured"] | None:
    if used is None or used.throughput.kind == "seen":
        return None
    return used.throughput.kind


def _free(why: str, terms: CostTerms, market: Market) -> Cost:
    return Cost(
        usd_per_hour=0,
        usd_per_month=0,
        usd_per_million_output_tokens=(0, 0),
        basis=f"free: {why}",
        headline=f"free: {why}",
        market=market,
        utilisation=terms.utilisation,
    )


def _unpriced(
    terms: CostTerms, market: Market, volume: VolumeRent | None, start: TimeToServe, taken: Preemptions
) -> Cost:
    unknown = f"no price known ({_spoken(market)}): set cost.live_price to what the cloud asks"
    return Cost(
        usd_per_hour=None,
        usd_per_month=None,
        usd_per_million_output_tokens=None,
        basis=unknown,
        headline=unknown,
        market=market,
        utilisation=terms.utilisation,
        volume=volume,
        time_to_serve=start,
        preemptions=taken,
    )


def _basis(rate: Rate, used: TokenCost | None) -> str:
    basis = f"{rate.source}, {rate.date}"
    return f"{basis}; throughput {used.throughput.kind} by {used.throughput.source}" if used else basis


def _headline(rate: Rate, terms: CostTerms, market: Market, used: TokenCost | None) -> str:
    node = f"{rate.usd_per_hour:.2f} USD/h {_spoken(market)}{' (scaled)' if rate.derived else ''}"
    if used is None:
        return f"{node}; no throughput of this shape is assumed or was measured, so no price of tokens"
    best, worst = used.usd_per_million_output_tokens
    even = used.break_even
    return (
        f"{node}, {best:.2f} to {worst:.2f} USD per million output tokens at {terms.utilisation:.0%} of the "
        f"{used.throughput.kind} throughput; break-even with {even.api}: {_verdict(even)}"
    )


def _caveats(
    rate: Rate, cloud: str | None, terms: CostTerms, volume: VolumeRent | None, start: TimeToServe
) -> tuple[str, ...]:
    caveats = []
    if rate.cloud and rate.cloud != cloud:
        caveats.append(f"the price is one of {rate.cloud}, not of {cloud}: set cost.live_price to what {cloud} asks")
    if volume is None:
        caveats.append("no rent of a volume is counted: its size or the rent of this cloud is not known")
    if start.fetch_minutes is None or start.load_minutes is None:
        caveats.append("fetching and loading are not counted: the size of the weights is not known")
    if not terms.input_tokens_per_output_token:
        caveats.append("the API's price of input is not counted: set cost.input_tokens_per_output_token")
    return tuple(caveats)


def _preemption_caveats(terms: CostTerms, market: Market) -> tuple[str, ...]:
    if market == "on_demand" or terms.preemptions_per_day is not None:
        return ()
    return ("no preemptions are counted, no rate of them is known: set cost.preemptions_per_day",)


def _verdict(even: BreakEven) -> str:
    if even.required_utilisation is None:
        return "never, the node is gone before it serves"
    if even.verdict == "never":
        return "never, the node costs more at every utilisation"
    best, worst = even.required_utilisation
    shown = f"{even.million_output_tokens:.0f} M output tokens in {even.hours:.4g} h, {best:.0%} use at best"
    return f"{shown}, {worst:.0%} at worst" if even.verdict == "within_reach" else f"{shown}, out of reach at worst"


def _spoken(market: Market) -> str:
    return market.replace("_", " ")
