"""How long real requests were, and which max-model-len follows from it."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from nodestack_bench.exposition import Bucket, Quantile, counter, histogram, quantile, without

PROMPT, GENERATED = "vllm:request_prompt_tokens", "vllm:request_generation_tokens"
ENDED = "vllm:request_success_total"
SHARE = 0.95


class Own(NamedTuple):
    """Requests of ours among those that the engine counted.

    Attributes:
        prompt_tokens: Length of each prompt.
        output_tokens: Length of each reply.
        requests: How many.
    """

    prompt_tokens: int
    output_tokens: int
    requests: int


def describe(
    text: str, own: Sequence[Own], *, least_requests: int, multiple: int, max_model_len: int
) -> dict[str, Any]:
    """Return the 95th percentiles of prompts and replies since the engine's start, and the length they suggest.

    The engine's buckets grow by 1, 2, 5: a percentile is known to lie within one. The suggestion takes upper bounds, so
    that it never is too short for what was seen; a bucket that reaches beyond max_model_len ends there.

    Args:
        text: What the engine says at /metrics.
        own: Requests of ours, which are left out.
        least_requests: Below so many, nothing is suggested.
        multiple: The suggestion is a multiple of this, in tokens.
        max_model_len: Longest sequence that the engine takes now.
    """
    prompts = without(histogram(text, PROMPT), [(each.prompt_tokens, each.requests) for each in own])
    replies = without(histogram(text, GENERATED), [(each.output_tokens, each.requests) for each in own])
    ours = sum(each.requests for each in own)
    requests = int(replies[-1].requests) if replies else 0
    found: dict[str, Any] = {
        "requests": requests,
        "own_requests": ours,
        "prompt_tokens_p95": None,
        "generated_tokens_p95": None,
        "cut_share": None,
        "suggested_max_model_len": None,
        "arithmetic": f"{requests} requests of clients since the engine's start, at least {least_requests} are needed",
    }
    if requests < least_requests:
        return found
    prompt, reply = _bounded(prompts, max_model_len), _bounded(replies, max_model_len)
    # Ours end at their limit as well.
    cut = max(0.0, counter(text, ENDED, finished_reason="length") - ours) / requests
    need = prompt.at_most + reply.at_most
    suggested = math.ceil(need / multiple) * multiple
    return {
        **found,
        "prompt_tokens_p95": _as_dict(prompt),
        "generated_tokens_p95": _as_dict(reply),
        "cut_share": round(cut, 4),
        "suggested_max_model_len": suggested,
        "arithmetic": (
            f"95 % of {requests} prompts had at most {prompt.at_most:.0f} tokens, 95 % of the replies at most "
            f"{reply.at_most:.0f}: together {need:.0f}, as a multiple of {multiple}: {suggested}"
            + (f"; {cut:.0%} of the replies were cut at a limit, they would have been longer" if cut else "")
        ),
    }


def _bounded(buckets: Sequence[Bucket], longest: int) -> Quantile:
    found = quantile(buckets, SHARE)
    return Quantile(min(found.value, longest), found.more_than, min(found.at_most, longest))


def _as_dict(found: Quantile) -> dict[str, int]:
    return {"estimate": round(found.value), "more_than": int(found.more_than), "at_most": int(found.at_most)}
