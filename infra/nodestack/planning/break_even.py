"""From how many output tokens on a node is cheaper than an API, and whether it can serve as many."""

from dataclasses import dataclass
from typing import Literal

from nodestack.catalog.prices import ApiPrice, Throughput
from nodestack.planning.cost_figures import Amount, Figures, Share, Usd

MILLION = 1e6
Verdict = Literal["within_reach", "at_best", "never"]


class BreakEven(Figures):
    """Where node and API cost the same.

    Attributes:
        api: Name of the API.
        usd: What the API's price has to outweigh.
        hours: Over which that is paid.
        api_usd_per_million_output_tokens: What the API asks for a million output tokens and their input.
        million_output_tokens: Where both cost the same.
        ceiling_million_output_tokens: What the node can serve in its serving hours, at worst and at best.
        required_utilisation: Share of full throughput that it takes, at best and at worst; above 1 it cannot be
            reached; None when the node never serves.
        verdict: `within_reach` even at the worst throughput, `at_best` at the best only, or `never`: the node costs
            more at every utilisation.
        basis: Where the API's price comes from, and what is counted of it.
    """

    api: str
    usd: Usd
    hours: Amount
    api_usd_per_million_output_tokens: Usd
    million_output_tokens: Amount
    ceiling_million_output_tokens: tuple[Amount, Amount]
    required_utilisation: tuple[Share, Share] | None
    verdict: Verdict
    basis: str


@dataclass(frozen=True)
class ApiSide:
    """What an API asks for the same tokens.

    Attributes:
        name: The API's name.
        usd_per_million: For a million output tokens and the input that is counted with them, in USD, above 0.
        basis: Where that comes from, and what is counted.
    """

    name: str
    usd_per_million: float
    basis: str


def api_side(name: str, api: ApiPrice, input_tokens_per_output_token: float) -> ApiSide:
    """Return what an API asks for a million output tokens and their input."""
    per_million = api.usd_per_million_output_tokens + input_tokens_per_output_token * api.usd_per_million_input_tokens
    counted = f"output with {input_tokens_per_output_token:g} input tokens for each output token"
    return ApiSide(
        name, per_million, f"{api.source}, {api.date}; {counted if input_tokens_per_output_token else 'output alone'}"
    )


def break_even(usd: float, hours: tuple[float, float], throughput: Throughput, api: ApiSide) -> BreakEven:
    """Return where a node and an API cost the same.

    The node's throughput counts output tokens. That it also reads the input is in a measured throughput; in an assumed
    one only as far as whoever assumed it thought of it.

    Args:
        usd: What the node costs over the hours.
        hours: Those hours, and those of them that it serves.
        throughput: Output tokens an hour at full use.
        api: What is asked for the same tokens.
    """
    paid, serving = hours
    even = usd / api.usd_per_million
    ceiling = (throughput.low / MILLION * serving, throughput.high / MILLION * serving)
    required = None
    verdict: Verdict = "never"
    if serving > 0:
        # Divided one by one: the product of very small numbers is 0.
        required = (even / serving / throughput.high * MILLION, even / serving / throughput.low * MILLION)
        verdict = "within_reach" if required[1] <= 1 else "at_best" if required[0] <= 1 else "never"
    return BreakEven(
        api=api.name,
        usd=usd,
        hours=paid,
        api_usd_per_million_output_tokens=api.usd_per_million,
        million_output_tokens=even,
        ceiling_million_output_tokens=ceiling,
        required_utilisation=required,
        verdict=verdict,
        basis=api.basis,
    )
