"""The longest sequence that is taken, and the first that is not."""

from typing import Any

from nodestack_smoke.question import COMPLETIONS, Asked, Question, Wrong
from nodestack_smoke.server import NoAnswer, Refused, prompt_tokens

REPLY_TOKENS = 8
# Token numbers of a prompt; every vocabulary has these, and a few different ones are no single run of one token.
FIRST_TOKEN, DIFFERENT_TOKENS = 16, 64
BAD_REQUEST = 400


def longest_sequence() -> Question:
    """The longest sequence is taken, and one that is longer is refused in a way that a client understands."""
    return Question(
        "longest sequence",
        f"a prompt of max_model_len less {REPLY_TOKENS} tokens is taken, one more is refused with HTTP {BAD_REQUEST}",
        "clients with long prompts fail: look at max-model-len, and at how much KV cache the engine logged",
        _longest,
    )


def _longest(asked: Asked) -> str:
    longest = asked.max_model_len
    if longest <= REPLY_TOKENS:
        raise Wrong(f"max_model_len {longest} in /v1/models" if longest else "no max_model_len in /v1/models")
    most = longest - REPLY_TOKENS
    counted = prompt_tokens(asked.server.ask(COMPLETIONS, _prompt(most)))
    if counted != most:
        raise Wrong(f"{counted} of {most} tokens were read")
    try:
        asked.server.ask(COMPLETIONS, _prompt(most + 1))
    except NoAnswer:
        raise
    except Refused as refusal:
        if refusal.status != BAD_REQUEST:
            raise Wrong(f"{most} tokens taken, {most + 1} refused with {refusal}") from None
        if str(longest) not in str(refusal):
            raise Wrong(f"{most} tokens taken, {most + 1} refused without the limit: {refusal}") from None
        return f"{most} tokens taken, {most + 1} refused with HTTP {BAD_REQUEST}"
    raise Wrong(f"{most} tokens taken, and {most + 1} as well")


def _prompt(tokens: int) -> dict[str, Any]:
    numbers = [FIRST_TOKEN + number % DIFFERENT_TOKENS for number in range(tokens)]
    return {"prompt": numbers, "max_tokens": REPLY_TOKENS}
