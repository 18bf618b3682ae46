"""Which checks a kind of model has to pass, in full or as the light part that a timer repeats."""

import time
from collections.abc import Callable

from nodestack_smoke import access, context, replies
from nodestack_smoke.question import Asked, Question, Wrong
from nodestack_smoke.result import Check
from nodestack_smoke.server import NoAnswer, Refused


def questions(asked: Asked, *, light: bool) -> list[Question]:
    """Return the checks in their order.

    Args:
        asked: The server under test.
        light: Only what costs a handful of tokens.
    """
    free = [
        access.locked(),
        access.wrong_key(),
        access.served_model(asked),
        access.engine_version(asked),
        access.commit(asked),
        access.metrics(asked),
    ]
    gateway = [access.gateway()] if asked.gateway else []
    if light:
        return [*free, replies.few_tokens(), *gateway]
    if asked.kind == "completion":
        return [*free, replies.completion(), replies.streaming(), context.longest_sequence(), *gateway]
    tools = [replies.tool_call()] if asked.kind == "chat_reasoning_tools" else []
    return [
        *free,
        replies.chat(asked),
        replies.streaming(),
        *tools,
        replies.json_schema(),
        context.longest_sequence(),
        *gateway,
    ]


def run(asked: Asked, *, light: bool, show: Callable[[str], None]) -> list[Check]:
    """Return what each check found; after one that nobody answered, no more is asked.

    Args:
        asked: The server under test.
        light: Only what costs a handful of tokens.
        show: Takes a line about what is going on.
    """
    checks: list[Check] = []
    wanted = questions(asked, light=light)
    for number, question in enumerate(wanted, 1):
        show(f"{question.check}, {number} of {len(wanted)}")
        started = time.monotonic()
        answered, passed = True, True
        try:
            seen = question.ask(asked)
        except (Refused, Wrong) as error:
            seen, passed, answered = str(error), False, not isinstance(error, NoAnswer)
        seconds = time.monotonic() - started
        checks.append(Check(question.check, question.expected, seen, passed, question.remedy, seconds))
        if not answered:
            break
    return checks
