"""A question to the server under test, what has to be seen, and what the questions before it have found out."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from nodestack_smoke.server import Server
from nodestack_smoke.service import Service

CHAT = "/v1/chat/completions"
COMPLETIONS = "/v1/completions"


class Wrong(Exception):
    """What was seen is not what was expected; the message says what was seen."""


@dataclass
class Asked:
    """The server under test, and what is known of it by now.

    Attributes:
        server: Answers at the engine's own address.
        model: Name that clients ask for.
        kind: `chat_reasoning_tools`, `chat` or `completion`.
        commit: 40 hex digits of the weights that must be served.
        engine_version: Version that must serve, e.g. 0.23.0.
        metrics: Names that the monitoring relies on.
        service: The unit's present start.
        gateway: Answers at the gateway's address, None where there is none.
        text: The first words that came back, to be shown to a person.
        fields: Which fields a whole reply had, so that a streamed one can be held against it.
        max_model_len: Longest sequence as the server says, 0 until it has.
    """

    server: Server
    model: str
    kind: str
    commit: str
    engine_version: str
    metrics: Sequence[str]
    service: Service
    gateway: Server | None = None
    text: str = ""
    fields: frozenset[str] = field(default_factory=frozenset)
    max_model_len: int = 0

    @property
    def reasons(self) -> bool:
        """Whether the model thinks before it answers."""
        return self.kind == "chat_reasoning_tools"


class Question(NamedTuple):
    """One check.

    Attributes:
        check: What is looked at.
        expected: What has to be seen.
        remedy: What to do where it is not.
        ask: Returns what was seen; raises Wrong, or the server's Refused, where it is not right.
    """

    check: str
    expected: str
    remedy: str
    ask: Callable[[Asked], str]
