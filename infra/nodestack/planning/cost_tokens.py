"""What a million output tokens costs at one throughput: on the node alone, with all that is billed, and on an API."""

from dataclasses import dataclass

from nodestack.catalog.prices import AssumedThroughput, MeasuredThroughput, SeenThroughput
from nodestack.planning.break_even import MILLION, ApiSide, BreakEven, break_even
from nodestack.planning.cost_figures import Figures, Share, Usd
from nodestack.planning.lifetime import Run

AnyThroughput = AssumedThroughput | SeenThroughput | MeasuredThroughput


@dataclass(frozen=True)
class Bill:
    """What is paid, and what an API would ask.

    Attributes:
        node_usd_per_hour: Price of the node.
        hours_per_month: Hours that a month is counted with.
        run: The node from order to deletion.
        utilisation: Share of full throughput that is asked for.
        output_only: What an API asks for output alone.
        output_and_input: What it asks for output and the input that goes with it.
    """

    node_usd_per_hour: float
    hours_per_month: int
    run: Run
    utilisation: float
    output_only: ApiSide
    output_and_input: ApiSide


class TokenCost(Figures):
    """What tokens cost at one throughput.

    Attributes:
        throughput: Which; its `kind` is `assumed`, `seen` (elsewhere) or `measured` (on this stack).
        usd_per_million_output_tokens: The node alone while it serves, at best and at worst.
        effective_usd_per_million_output_tokens: With all that is billed over the run: time to serve, minimum runtime,
            rent of the volume, preemptions; None when the run never serves.
        below_api: Share by which the node alone is below the API's price of output, at worst and at best; negative
            where it is above.
        effective_below_api: The same with all that is billed, beside the API's price of output and input.
        break_even_output_only: As the guide reckons: the node's month against the API's price of output.
        break_even: All that is billed over the run against the API's price of output and input.
        basis: How the numbers above were made of the throughput.
    """

    throughput: AnyThroughput
    usd_per_million_output_tokens: tuple[Usd, Usd]
    effective_usd_per_million_output_tokens: tuple[Usd, Usd] | None
    below_api: tuple[Share, Share]
    effective_below_api: tuple[Share, Share] | None
    break_even_output_only: BreakEven
    break_even: BreakEven
    basis: str


def token_cost(throughput: AnyThroughput, bill: Bill) -> TokenCost:
    """Return what tokens cost at a throughput."""
    month, run = bill.hours_per_month, bill.run
    node = _per_million(bill.node_usd_per_hour, throughput, bill.utilisation)
    effective = None
    if run.usd_per_serving_hour is not None:
        effective = _per_million(run.usd_per_serving_hour, throughput, bill.utilisation)
    return TokenCost(
        throughput=throughput,
        usd_per_million_output_tokens=node,
        effective_usd_per_million_output_tokens=effective,
        below_api=_below(node, bill.output_only),
        effective_below_api=_below(effective, bill.output_and_input) if effective else None,
        break_even_output_only=break_even(bill.node_usd_per_hour * month, (month, month), throughput, bill.output_only),
        break_even=break_even(run.usd, (run.hours, run.serving_hours), throughput, bill.output_and_input),
        basis=f"at {bill.utilisation:.0%} of the {throughput.kind} throughput: {throughput.source}, {throughput.date}",
    )


def _per_million(usd_per_hour: float, throughput: AnyThroughput, utilisation: float) -> tuple[float, float]:
    at_full = (usd_per_hour / throughput.high * MILLION, usd_per_hour / throughput.low * MILLION)
    return at_full[0] / utilisation, at_full[1] / utilisation


def _below(usd: tuple[float, float], api: ApiSide) -> tuple[float, float]:
    best, worst = usd
    return 1 - worst / api.usd_per_million, 1 - best / api.usd_per_million
