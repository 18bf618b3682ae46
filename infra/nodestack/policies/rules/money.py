"""What an endpoint may cost."""

from collections.abc import Iterator

from nodestack.policies.facts import Given
from nodestack.policies.rule import Rule, Terms


class Price(Given):
    """What it costs, as planned."""

    usd_per_hour: float | None
    usd_per_month: float | None
    usd_per_million_output_tokens: float | None


class Budget(Terms):
    """What it may cost; None sets no limit.

    Attributes:
        usd_per_hour: The node, an hour.
        usd_per_month: The same over a month.
        usd_per_million_output_tokens: At the worst throughput expected.
    """

    usd_per_hour: float | None = None
    usd_per_month: float | None = None
    usd_per_million_output_tokens: float | None = None


WORDS = {
    "usd_per_hour": "USD an hour",
    "usd_per_month": "USD a month",
    "usd_per_million_output_tokens": "USD a million output tokens",
}


def within_budget(given: Price, budget: Budget) -> Iterator[str]:
    """Yield which limit is passed; a price that nobody knows keeps to none."""
    for name, words in WORDS.items():
        limit, price = getattr(budget, name), getattr(given, name)
        if limit is None:
            continue
        if price is None:
            yield f"nobody knows its price in {words}, at most {limit:,.2f} are allowed"
        elif price > limit:
            yield f"it costs {price:,.2f} {words}, at most {limit:,.2f} are allowed"


RULES = (Rule("budget", Price, Budget, within_budget),)
