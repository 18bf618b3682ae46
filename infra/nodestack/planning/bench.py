"""Which load a stack is measured with: its profile's trace, within what its engine takes."""

from nodestack.catalog.bench import BenchTerms
from nodestack.catalog.entry import Entry, Positive
from nodestack.catalog.profiles import Trace


class BenchShape(Entry):
    """A load.

    Attributes:
        prompt_tokens: Length of each prompt.
        output_tokens: Length of each reply.
        requests: How many in all.
        concurrency: How many are in flight at most.
    """

    prompt_tokens: Positive
    output_tokens: Positive
    requests: Positive
    concurrency: Positive


def bench_shape(
    trace: Trace, terms: BenchTerms, *, max_model_len: int, max_num_seqs: int, trace_length_p95: int | None = None
) -> BenchShape:
    """Return the load that a stack is measured with.

    The profile's trace is stretched to the workload's length where that is known, and shrunk to what the engine takes;
    prompt and reply keep their proportion.

    >>> from nodestack.catalog import load
    >>> catalog = load()
    >>> bench_shape(catalog.profiles.profiles["reasoning"].trace, catalog.bench, max_model_len=65536, max_num_seqs=64)
    BenchShape(prompt_tokens=1024, output_tokens=8192, requests=128, concurrency=64)

    Args:
        trace: Of the profile.
        terms: Of the measurement.
        max_model_len: Longest sequence that the engine takes.
        max_num_seqs: Sequences that it has in flight at most.
        trace_length_p95: 95th percentile of the workload's sequences, None where the stack does not say.
    """
    whole = trace.prompt_tokens + trace.output_tokens
    length = max(2, min(trace_length_p95 or whole, max_model_len - terms.context_margin_tokens))
    prompt = min(max(1, length * trace.prompt_tokens // whole), length - 1)
    return BenchShape(
        prompt_tokens=prompt,
        output_tokens=length - prompt,
        requests=max_num_seqs * terms.requests_per_sequence,
        concurrency=max_num_seqs,
    )
