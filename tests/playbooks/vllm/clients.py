"""Runs on a node: clients whose requests are under way when the engine is told to end, and others that come meanwhile.

Arguments: URL, key, model, tokens of a long reply, a file that begins to exist once all long requests are sent, and one
that ends it. Prints as JSON how each request ended: `finished`, `refused` cleanly before it was accepted, or what else.
"""

import collections
import http.client
import json
import ssl
import sys
import threading
import time
import urllib.parse
from pathlib import Path

LONG_REQUESTS = 20
PAUSE_S = 0.2
PATIENCE_S = 300.0
SERVICE_UNAVAILABLE = 503


class Clients:
    """Requests to one server, and how they ended."""

    def __init__(self, url: str, key: str, model: str) -> None:
        self.parts = urllib.parse.urlsplit(url)
        self.headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        self.model = model
        self.ended: dict[str, collections.Counter[str]] = {
            "long": collections.Counter(),
            "short": collections.Counter(),
        }
        self.begun: set[int] = set()
        self.lock = threading.Lock()

    def ask(self, kind: str, number: int, tokens: int) -> None:
        """Ask for so many tokens, every other time as a stream, and note how it ended."""
        try:
            said = self.outcome(number, tokens, streaming=number % 2 == 0)
        except (OSError, http.client.HTTPException, ValueError) as error:
            said = f"cut: {error!r}"
        with self.lock:
            self.ended[kind][said] += 1

    def outcome(self, number: int, tokens: int, *, streaming: bool) -> str:
        body = {
            "model": self.model, "prompt": f"{number} {time.time()}", "max_tokens": tokens, "ignore_eos": True,
            "stream": streaming,
        }  # fmt: skip
        connection = self.connection()
        try:
            connection.request("POST", "/v1/completions", json.dumps(body), self.headers)
            self.begun.add(number)
            reply = connection.getresponse()
            if reply.status == SERVICE_UNAVAILABLE and reply.getheader("Retry-After"):
                reply.read()
                return "refused"
            if reply.status != http.client.OK:
                return f"HTTP {reply.status}: {reply.read(200)!r}"
            text = reply.read().decode()
            if not streaming:
                return self.judged(json.loads(text)["choices"][0]["finish_reason"])
            events = [line.removeprefix("data: ") for line in text.splitlines() if line.startswith("data: ")]
            if events[-1:] != ["[DONE]"]:
                return f"cut: a stream that ends with {text[-80:]!r}"
            reasons = [choice["finish_reason"] for event in events[:-1] for choice in json.loads(event)["choices"]]
            return self.judged(next((reason for reason in reasons if reason), "none"))
        finally:
            connection.close()

    def judged(self, reason: str) -> str:
        return "finished" if reason == "length" else f"cut: finish_reason {reason}"

    def connection(self) -> http.client.HTTPConnection:
        host, port = self.parts.hostname or "", self.parts.port
        if self.parts.scheme == "https":
            # Whose certificate it is, is not what is asked here.
            context = ssl._create_unverified_context()  # noqa: S323
            return http.client.HTTPSConnection(host, port, timeout=PATIENCE_S, context=context)
        return http.client.HTTPConnection(host, port, timeout=PATIENCE_S)


def run(clients: Clients, tokens: int, begun: Path, end: Path) -> None:
    """Run the long requests, and short ones beside them until told to end."""
    threads = [threading.Thread(target=clients.ask, args=("long", n, tokens)) for n in range(LONG_REQUESTS)]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + PATIENCE_S
    while len(clients.begun) < LONG_REQUESTS and time.monotonic() < deadline:
        time.sleep(PAUSE_S)
    begun.touch()
    number = LONG_REQUESTS
    while not end.exists() and time.monotonic() < deadline:
        threads.append(threading.Thread(target=clients.ask, args=("short", number, 2)))
        threads[-1].start()
        number += 1
        time.sleep(PAUSE_S)
    for thread in threads:
        thread.join(PATIENCE_S)
    print(json.dumps({kind: dict(counts) for kind, counts in clients.ended.items()}))


if __name__ == "__main__":
    run(Clients(*sys.argv[1:4]), int(sys.argv[4]), Path(sys.argv[5]), Path(sys.argv[6]))
