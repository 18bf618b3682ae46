"""Service levels: what each trades for what, as numbers that arithmetic can use."""

from typing import Annotated

from pydantic import Field, JsonValue

from nodestack.catalog.entry import Entry, Fact, Positive, PositiveFloat

Fraction = Annotated[float, Field(gt=0, le=1)]


class Trace(Fact):
    """What a typical request of a service level looks like.

    Attributes:
        prompt_tokens: Length of its prompt.
        output_tokens: Length of its reply, reasoning included.
    """

    prompt_tokens: Positive
    output_tokens: Positive


class Objective(Fact):
    """What users of a service level may expect; alerts compare with it.

    Attributes:
        ttft_p95_s: Time to the first token in seconds, 95th percentile.
        inter_token_latency_p95_s: Time between tokens in seconds, 95th percentile.
    """

    ttft_p95_s: PositiveFloat
    inter_token_latency_p95_s: PositiveFloat


class ProfileEntry(Fact):
    """One service level.

    Attributes:
        intent: What it is for, in a few words.
        max_model_len: Longest sequence in tokens where the workload does not say.
        sequences_kept: Share of the sequences held at the smallest step that a larger step must still hold.
        length_in_flight: How much of their full length sequences are counted with while in flight.
        max_num_seqs: Sequences in flight at most, whatever the cache could hold.
        options: Engine options that it adds.
        trace: What it is measured with.
        objective: Latencies that its users may expect.
    """

    intent: str
    max_model_len: Positive
    sequences_kept: Fraction
    length_in_flight: Fraction
    max_num_seqs: Positive
    options: dict[str, JsonValue] = Field(default_factory=dict)
    trace: Trace
    objective: Objective


class Profiles(Entry):
    """All service levels, and the steps that they choose from.

    Attributes:
        length_multiple: Lengths taken from a workload are rounded up to a multiple of this, in tokens.
        batched_tokens: Step sizes in tokens that are weighed, smallest first.
    """

    length_multiple: Positive
    batched_tokens: tuple[Positive, ...]
    profiles: dict[str, ProfileEntry]
