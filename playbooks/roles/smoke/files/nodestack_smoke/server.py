"""Questions to an OpenAI-compatible server, and its replies or what it gave instead."""

import json
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from http.client import HTTPException
from pathlib import Path
from typing import IO, Any, NamedTuple, TypeVar

SHOWN_CHARACTERS = 400

# The most one reply may be; enough for a call of a tool after some reasoning.
MAX_TOKENS = 768

# A key that no server has.
WRONG_KEY = "sk-nobody-has-this-key"

Reply = TypeVar("Reply")


class Refused(Exception):
    """The server did not give a usable reply; the message says what it gave instead.

    Attributes:
        status: HTTP status of the answer; None where there was no answer at all.
    """

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


class NoAnswer(Refused):
    """Nobody answered, or not in time: it makes no sense to ask on."""


class Streamed(NamedTuple):
    """A reply that came in pieces.

    Attributes:
        chunks: All of them, in order.
        done: Whether the end was said.
        first_s: Seconds until the first.
        seconds: Seconds until the last.
    """

    chunks: list[dict[str, Any]]
    done: bool
    first_s: float
    seconds: float


class Server:
    """The server under test.

    Args:
        url: Without the path, e.g. http://127.0.0.1:8000.
        model: Served model name.
        key: API key.
        timeout_s: Seconds one reply may take.
        authority: File of the certificate authority that it must show, where it speaks TLS.

    Attributes:
        cuts_reasoning: Whether it takes a budget for reasoning; not every runner of the engine does.
    """

    def __init__(self, url: str, model: str, key: str, timeout_s: float, authority: Path | None = None) -> None:
        self._url, self._model, self._key, self._timeout_s = url.rstrip("/"), model, key, timeout_s
        context = ssl.create_default_context(cafile=authority) if authority else ssl.create_default_context()
        # No proxy of the environment stands between this node and its own server.
        self._opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context)
        )
        self.cuts_reasoning = True

    def status(self, path: str, key: str | None) -> int:
        """Return the HTTP status of a GET with this key, or with none.

        Raises:
            NoAnswer: Nobody answered.
        """
        try:
            self._text(path, None, key)
        except NoAnswer:
            raise
        except Refused as refusal:
            return refusal.status or 0
        return 200

    def get(self, path: str) -> dict[str, Any]:
        """Return the object that a GET gives."""
        return _object(self._text(path, None, self._key))

    def text(self, path: str) -> str:
        """Return the text that a GET gives, without a key."""
        return self._text(path, None, None)

    def models(self) -> list[dict[str, Any]]:
        """Return what it serves."""
        models = self.get("/v1/models").get("data")
        return [model for model in models if isinstance(model, dict)] if isinstance(models, list) else []

    def ask(self, path: str, question: dict[str, Any]) -> dict[str, Any]:
        """Return a reply, with its limits set so that it comes to an end; `choice` takes it apart."""
        return _object(self._asked(lambda body: self._text(path, body, self._key), question))

    def stream(self, path: str, question: dict[str, Any]) -> Streamed:
        """Return a reply piece by piece, with the usage that was asked for at its end."""
        streamed = {**question, "stream": True, "stream_options": {"include_usage": True}}
        return self._asked(lambda body: self._pieces(path, body), streamed)

    def _asked(self, send: Callable[[dict[str, Any]], Reply], question: dict[str, Any]) -> Reply:
        body = {"model": self._model, "temperature": 0, "seed": 0, "max_tokens": MAX_TOKENS, **question}
        if not self.cuts_reasoning:
            body.pop("thinking_token_budget", None)
        try:
            return send(body)
        except Refused as refusal:
            if "thinking_token_budget" not in body or "thinking_token_budget" not in str(refusal):
                raise
        self.cuts_reasoning = False
        body.pop("thinking_token_budget")
        return send(body)

    def _pieces(self, path: str, body: dict[str, Any]) -> Streamed:
        started = time.monotonic()
        chunks: list[dict[str, Any]] = []
        first_s, done = 0.0, False
        with self._open(path, body, self._key) as reply:
            for line in self._lines(reply):
                if line == "[DONE]":
                    done = True
                    break
                first_s = first_s or time.monotonic() - started
                chunks.append(_object(line))
        return Streamed(chunks, done, first_s, time.monotonic() - started)

    def _lines(self, reply: IO[bytes]) -> Iterator[str]:
        try:
            for line in reply:
                text = line.decode("utf-8", "replace").strip()
                if text.startswith("data:"):
                    yield text.removeprefix("data:").strip()
        except TimeoutError:
            raise NoAnswer(f"the stream stood still for {self._timeout_s:.0f} s") from None
        except (OSError, HTTPException) as error:
            raise Refused(f"the stream broke: {reason(error)}") from None

    def _text(self, path: str, body: dict[str, Any] | None, key: str | None) -> str:
        try:
            with self._open(path, body, key) as reply:
                return reply.read().decode("utf-8", "replace")
        except TimeoutError:
            raise NoAnswer(f"no whole reply within {self._timeout_s:.0f} s") from None
        except (OSError, HTTPException) as error:
            raise Refused(f"the reply broke: {reason(error)}") from None

    def _open(self, path: str, body: dict[str, Any] | None, key: str | None) -> IO[bytes]:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self._url + path, data)  # noqa: S310 — the URL is the role's own
        request.add_header("Content-Type", "application/json")
        if key is not None:
            request.add_header("Authorization", f"Bearer {key}")
        try:
            opened: IO[bytes] = self._opener.open(request, timeout=self._timeout_s)
        except urllib.error.HTTPError as error:
            with error:
                said = short(error.read().decode("utf-8", "replace"))
            raise Refused(f"HTTP {error.code}: {said}", error.code) from None
        except (OSError, HTTPException) as error:
            if isinstance(error, TimeoutError) or isinstance(getattr(error, "reason", None), TimeoutError):
                raise NoAnswer(f"no reply within {self._timeout_s:.0f} s") from None
            raise NoAnswer(f"no reply: {reason(error)}") from None
        return opened


def choice(reply: dict[str, Any]) -> dict[str, Any]:
    """Return the first choice of a reply."""
    choices = reply.get("choices")
    if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
        raise Refused(f"a reply without choices: {short(json.dumps(reply))}")
    return choices[0]


def message(reply: dict[str, Any]) -> dict[str, Any]:
    """Return the message of a reply's first choice."""
    found = choice(reply).get("message")
    if not isinstance(found, dict):
        raise Refused(f"a choice without a message: {short(json.dumps(choice(reply)))}")
    return found


def prompt_tokens(reply: dict[str, Any]) -> int:
    """Return how many tokens the prompt had, as the server counted them."""
    tokens = (reply.get("usage") or {}).get("prompt_tokens")
    if not isinstance(tokens, int):
        raise Refused(f"a reply without usage.prompt_tokens: {short(json.dumps(reply))}")
    return tokens


def short(text: str) -> str:
    """Return a text as one printable line of bounded length."""
    line = " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())
    return line if len(line) <= SHOWN_CHARACTERS else f"{line[: SHOWN_CHARACTERS - 1]}…"


def reason(error: Exception) -> str:
    """Return why there was no reply."""
    return str(getattr(error, "reason", "") or error)


def _object(text: str) -> dict[str, Any]:
    try:
        content = json.loads(text)
    except ValueError:
        raise Refused(f"no JSON: {short(text)}") from None
    if not isinstance(content, dict):
        raise Refused(f"no JSON object: {short(text)}")
    return content
