"""Questions to an OpenAI-compatible server, and its replies or what it gave instead."""

import json
import urllib.error
import urllib.request
from typing import Any

SHOWN_CHARACTERS = 400

# The most one reply may be; enough for a call of a tool after some reasoning.
MAX_TOKENS = 768


class Refused(Exception):
    """The server did not give a usable reply; the message says what it gave instead."""


class Server:
    """The server under test.

    Args:
        url: Without the path, e.g. http://127.0.0.1:8000.
        model: Served model name.
        key: API key.
        timeout_s: Seconds one reply may take.
    """

    def __init__(self, url: str, model: str, key: str, timeout_s: float) -> None:
        self._url, self._model, self._key, self._timeout_s = url, model, key, timeout_s

    def status(self, path: str, *, key: bool) -> int:
        """Return the HTTP status of a GET."""
        try:
            self._send(urllib.request.Request(self._url + path), key=key)  # noqa: S310 — the URL is the role's own
        except urllib.error.HTTPError as error:
            return error.code
        return 200

    def models(self) -> list[str]:
        """Return the names it serves."""
        reply = self._reply("/v1/models", None)
        return [str(model.get("id")) for model in reply.get("data", [])]

    def ask(self, path: str, question: dict[str, Any]) -> dict[str, Any]:
        """Return the first choice of a reply, with its limits set so that it comes to an end."""
        body = {"model": self._model, "temperature": 0, "seed": 0, "max_tokens": MAX_TOKENS, **question}
        try:
            reply = self._reply(path, body)
        except Refused as refusal:
            # Not every runner of the engine can cut reasoning short.
            if "thinking_token_budget" not in body or "thinking_token_budget" not in str(refusal):
                raise
            body.pop("thinking_token_budget")
            reply = self._reply(path, body)
        choices = reply.get("choices")
        if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
            raise Refused(f"a reply without choices: {short(json.dumps(reply))}")
        return choices[0]

    def _reply(self, path: str, body: dict[str, Any] | None) -> dict[str, Any]:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self._url + path, data)  # noqa: S310 — the URL is the role's own
        request.add_header("Content-Type", "application/json")
        try:
            reply = json.loads(self._send(request, key=True))
        except urllib.error.HTTPError as error:
            raise Refused(f"HTTP {error.code}: {short(error.read().decode('utf-8', 'replace'))}") from None
        except TimeoutError:
            raise Refused(f"no reply within {self._timeout_s:.0f} s") from None
        except (OSError, ValueError) as error:
            raise Refused(f"no reply: {reason(error)}") from None
        if not isinstance(reply, dict):
            raise Refused(f"no JSON object: {short(json.dumps(reply))}")
        return reply

    def _send(self, request: urllib.request.Request, *, key: bool) -> bytes:
        if key:
            request.add_header("Authorization", f"Bearer {self._key}")
        try:
            with urllib.request.urlopen(request, timeout=self._timeout_s) as reply:  # noqa: S310
                return bytes(reply.read())
        except urllib.error.URLError as error:
            if isinstance(error.reason, TimeoutError):
                raise error.reason from None
            raise


def short(text: str) -> str:
    """Return a text as one printable line of bounded length."""
    line = " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())
    return line if len(line) <= SHOWN_CHARACTERS else f"{line[: SHOWN_CHARACTERS - 1]}…"


def reason(error: Exception) -> str:
    """Return why there was no reply."""
    return str(getattr(error, "reason", "") or error)
