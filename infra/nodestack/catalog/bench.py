"""How a served model is measured, and when a figure counts as worse."""

from typing import Annotated

from pydantic import Field

from nodestack.catalog.entry import Entry, Fact, Positive

Tolerance = Annotated[float, Field(gt=0, lt=10)]


class Tolerances(Entry):
    """By which share of its former value each figure may be worse."""

    output_tokens_per_second: Tolerance
    ttft_p50_ms: Tolerance
    ttft_p99_ms: Tolerance
    inter_token_p50_ms: Tolerance
    inter_token_p99_ms: Tolerance


class BenchTerms(Fact):
    """Terms of a measurement.

    Attributes:
        requests_per_sequence: Requests in all, for each that is in flight.
        timeout_s: Seconds after which the load ends.
        context_margin_tokens: Tokens of the longest sequence that are left free.
        least_requests: Requests of clients that a suggested length must rest on.
        tolerances: What counts as worse.
    """

    requests_per_sequence: Positive
    timeout_s: Positive
    context_margin_tokens: Positive
    least_requests: Positive
    tolerances: Tolerances
