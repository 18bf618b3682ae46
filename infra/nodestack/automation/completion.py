"""Ask the stack's endpoint for a completion, as any client would."""

import json
import ssl
import time
import urllib.error
import urllib.request
from typing import Any

from pydantic import BaseModel, ConfigDict

from nodestack.errors import ReachError

PROMPT = "What is the sum of all prime numbers less than 50?"
MAX_TOKENS = 24
TIMEOUT_S = 120


class Completion(BaseModel):
    """A reply of the endpoint.

    Attributes:
        text: Reasoning and content, in this order.
        tokens: Tokens of the reply.
        seconds: Wall time of the request.
    """

    model_config = ConfigDict(frozen=True)

    text: str
    tokens: int
    seconds: float


def ask(endpoint_url: str, ca_certificate: str, model: str, api_key: str) -> Completion:
    """Return a short chat completion.

    Args:
        endpoint_url: Base URL that ends in /v1.
        ca_certificate: PEM of the one authority that may vouch for the endpoint; "" for those this machine trusts.
        model: Served model name.
        api_key: Sent as bearer token, never shown.

    Raises:
        ReachError: The endpoint does not answer, or not with a completion.
    """
    body = {"model": model, "messages": [{"role": "user", "content": PROMPT}], "max_tokens": MAX_TOKENS}
    request = urllib.request.Request(  # noqa: S310 - the scheme is the stack output's https
        f"{endpoint_url}/chat/completions",
        data=json.dumps(body).encode(),
        headers={"Content-Type": "application/json", "Authorization": f"Bearer {api_key}"},
    )
    trust = ssl.create_default_context(cadata=ca_certificate or None)
    started = time.monotonic()
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_S, context=trust) as reply:  # noqa: S310
            answer: dict[str, Any] = json.load(reply)
    except (urllib.error.URLError, TimeoutError, ValueError) as error:
        if isinstance(error, urllib.error.HTTPError):
            error.close()
        raise ReachError(
            f"{endpoint_url} did not complete a chat: {error}; run `make up` to have it checked"
        ) from error
    message = answer["choices"][0]["message"]
    parts = [message.get("reasoning"), message.get("content")]
    return Completion(
        text="\n".join(part for part in parts if part),
        tokens=answer["usage"]["completion_tokens"],
        seconds=round(time.monotonic() - started, 2),
    )
