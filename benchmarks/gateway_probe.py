"""Clients of the gateway, honest and hostile, that run on its node: `python3 gateway_probe.py KIND OPTIONS`, JSON out.

Standard library only, for the node's own Python. Times are seconds of the monotonic clock, which the stand-in of the
engine stamps its chunks with as well.
"""

import argparse
import asyncio
import http.client
import json
import os
import ssl
import statistics
import sys
import time
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

PATH = "/v1/chat/completions"
HONEST = "honest-"


class Reply(NamedTuple):
    """A streamed reply.

    Attributes:
        first_s: From the request's first byte until the first event.
        total_s: Until the end.
        added_s: Until the first event, without what the stand-in kept it for: way there and way back.
        lags_s: From the stand-in's stamp until here, of each event.
        joined: Events that arrived in less than half the pace after the one before.
    """

    first_s: float
    total_s: float
    added_s: float
    lags_s: list[float]
    joined: int


class Client:
    """A client that keeps its connection, as OpenAI's does."""

    def __init__(self, url: str, ca: str, key_file: str) -> None:
        parts = urlsplit(url)
        self._key = Path(key_file).read_text().strip()
        host, port = parts.hostname or "", parts.port
        if parts.scheme == "https":
            trust = ssl.create_default_context(cafile=ca)
            self._connection: http.client.HTTPConnection = http.client.HTTPSConnection(
                host, port, timeout=300, context=trust
            )
        else:
            self._connection = http.client.HTTPConnection(host, port, timeout=300)

    def renew(self) -> None:
        """Have a new connection: an engine closes one that was idle for seconds."""
        self._connection.close()
        self._connection.connect()

    def ask(self, body: dict[str, Any], request_id: str, pace_s: float = 0.0) -> Reply:
        """Return how a streamed reply came."""
        headers = {"Authorization": f"Bearer {self._key}", "Content-Type": "application/json"}
        data = json.dumps(body).encode()
        sent = time.monotonic()
        self._connection.request("POST", PATH, data, {**headers, "X-Request-Id": request_id})
        reply = self._connection.getresponse()
        if reply.status != http.client.OK:
            raise RuntimeError(f"status {reply.status}: {reply.read()[:200]!r}")
        times, stamps = [], []
        while line := reply.readline():
            if line.startswith(b"data: {"):
                times.append(time.monotonic())
                stamps.append(json.loads(line[6:]).get("sent", 0) / 1e9)
        arrived = int(reply.headers.get("X-Arrived") or 0) / 1e9
        lags = [there - here for there, here in zip(times, stamps, strict=True)]
        joined = sum(later - earlier < pace_s / 2 for earlier, later in pairwise(times))
        return Reply(times[0] - sent, time.monotonic() - sent, arrived - sent + lags[0], lags, joined)


def latency(options: argparse.Namespace) -> dict[str, Any]:
    """Ask directly and through the gateway in turn; return what each adds to the first event, in ms."""
    body = {"chunks": options.chunks, "pace_ms": options.pace_ms}
    clients = {
        "direct": Client(options.direct, "", options.engine_key_file),
        "gateway": Client(options.gateway, options.ca, options.key_file),
    }
    found: dict[str, list[Reply]] = {side: [] for side in clients}
    for number in range(options.requests + options.warm_up):
        for side, client in clients.items():
            reply = client.ask(body, f"{HONEST}{side}-{number}", options.pace_ms / 1000)
            if number >= options.warm_up:
                found[side].append(reply)
    return {
        side: {
            "added_ms": [round(reply.added_s * 1000, 3) for reply in replies],
            "lags_ms": [round(lag * 1000, 3) for reply in replies for lag in reply.lags_s],
            "joined": sum(reply.joined for reply in replies),
        }
        for side, replies in found.items()
    }


def pairs(options: argparse.Namespace) -> dict[str, Any]:
    """Ask a real engine directly and through the gateway in turn; return seconds of each pair."""
    body = {
        "model": options.model, "stream": True, "temperature": 0, "seed": 0, "max_tokens": options.max_tokens,
        "ignore_eos": True, "messages": [{"role": "user", "content": "Count from one to a hundred."}],
    }  # fmt: skip
    direct = Client(options.direct, "", options.engine_key_file)
    gateway = Client(options.gateway, options.ca, options.key_file)
    sides = {"direct": direct, "gateway": gateway}
    for side, client in sides.items():
        client.renew()
        client.ask(body, f"warm-up-{side}")
    made = []
    for number in range(options.pairs):
        order = list(sides) if number % 2 == 0 else list(sides)[::-1]
        seconds = {}
        for side in order:
            sides[side].renew()
            reply = sides[side].ask(body, f"pair-{number}-{side}")
            seconds[side] = {"first_s": round(reply.first_s, 5), "total_s": round(reply.total_s, 5)}
        made.append(seconds)
    return {"pairs": made}


def honest(options: argparse.Namespace) -> dict[str, Any]:
    """Ask at a fixed rate for some seconds; return how long each reply took in ms."""
    body = {"chunks": options.chunks, "pace_ms": options.pace_ms, "first_ms": options.first_ms}
    client = Client(options.gateway, options.ca, options.key_file)
    begun, took, number = time.monotonic(), [], 0
    while (due := begun + number / options.per_second) < begun + options.seconds:
        time.sleep(max(0.0, due - time.monotonic()))
        took.append(round(client.ask(body, f"{HONEST}{number}").total_s * 1000, 2))
        number += 1
    return {"took_ms": took, "p95_ms": round(statistics.quantiles(took, n=20)[-1], 2)}


class Throttle:
    """Keeps this process below a share of the machine's CPUs: what it used ahead of its share, it sleeps off."""

    def __init__(self, share: float) -> None:
        self._cores = share * (os.cpu_count() or 1)
        self._begun = time.monotonic()

    def owed_s(self) -> float:
        """Return the seconds to sleep."""
        return time.process_time() / self._cores - (time.monotonic() - self._begun)

    def used(self) -> float:
        """Return the share that was really used."""
        elapsed = time.monotonic() - self._begun
        return time.process_time() / elapsed / (os.cpu_count() or 1)


class Attacker:
    """Sends what no honest client sends, each request on a connection of its own."""

    def __init__(self, options: argparse.Namespace) -> None:
        parts = urlsplit(options.gateway)
        self._host, self._port = parts.hostname, parts.port
        self._key = Path(options.key_file).read_text().strip()
        self._trust = ssl.create_default_context(cafile=options.ca)
        self._throttle = Throttle(options.cpu_share)
        self._stop_at = time.monotonic() + options.limit_s
        self.seen: Counter[str] = Counter()
        self.done = 0

    async def attack(self, requests: int, at_once: int) -> None:
        """Send so many requests, all kinds in turn."""
        kinds = list(KINDS)
        queue = iter(range(requests))
        await asyncio.gather(*(self._work(queue, kinds) for _ in range(at_once)))

    async def _work(self, queue: Any, kinds: list[str]) -> None:
        for number in queue:
            if time.monotonic() > self._stop_at:
                return
            while (owed := self._throttle.owed_s()) > 0:
                await asyncio.sleep(min(owed, 1.0))
            kind = kinds[number % len(kinds)]
            try:
                answer = await asyncio.wait_for(self._send(kind, number), timeout=40)
            except (OSError, asyncio.TimeoutError, asyncio.IncompleteReadError):  # noqa: UP041 - Python 3.10
                answer = "closed"
            self.seen[f"{kind}: {answer}"] += 1
            self.done += 1

    async def _send(self, kind: str, number: int) -> str:
        reader, writer = await asyncio.open_connection(
            self._host, self._port, ssl=self._trust, server_hostname=self._host
        )
        try:
            if kind == "slow loris":
                return await self._loris(reader, writer)
            writer.write(KINDS[kind](self._key, number))
            await writer.drain()
            line = await reader.readline()
            return line.split(b" ")[1].decode() if line.count(b" ") >= 1 else "closed"
        finally:
            writer.close()

    async def _loris(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> str:
        writer.write(b"GET /v1/models HTTP/1.1\r\nHost: x\r\n")
        for _ in range(60):
            writer.write(b"X-a: b\r\n")
            await writer.drain()
            try:
                line = await asyncio.wait_for(reader.readline(), timeout=0.5)
            except asyncio.TimeoutError:  # noqa: UP041 - Python 3.10
                continue
            return line.split(b" ")[1].decode() if line.count(b" ") >= 1 else "closed"
        return "held"

    def result(self) -> dict[str, Any]:
        """Return what was sent and answered, and the share of the CPU it took."""
        return {
            "sent": self.done,
            "seen": dict(sorted(self.seen.items())),
            "cpu_share": round(self._throttle.used(), 3),
        }


def _request(line: str, *headers: str, body: bytes = b"") -> bytes:
    return "\r\n".join([f"{line} HTTP/1.1", "Host: x", *headers, "", ""]).encode("latin-1") + body


_PATHS = (
    "/metrics", "/v1/../metrics", "/v1/..%2fmetrics", "/v1/%2e%2e/metrics", "//metrics", "/v1//../metrics",
    "/v1;/../metrics", "/v1/models/..;/../metrics", "/v1\\..\\metrics", "/%76%31/models", "/v1/models%00",
    "/v1/models%0d%0aX: y", "/v1/./models", "/health/../metrics", "/health;x", "/tokenize", "/openapi.json", "/docs",
    "/version", "/load", "/pause", "/reset_prefix_cache", "http://127.0.0.1:8000/metrics", "/.gateway/401",
    "/v1/models?x\x7f", "/v1/../../etc/passwd", "/invocations", "/server_info",
)  # fmt: skip
_SMUGGLED = b"0\r\n\r\nGET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"
_FRAMINGS = (
    ("Content-Length: 6", "Transfer-Encoding: chunked"),
    ("Transfer-Encoding: chunked", "Content-Length: 6"),
    ("Transfer-Encoding: xchunked",),
    ("Transfer-Encoding : chunked", "Content-Length: 6"),
    ("Transfer-Encoding: chunked", "Transfer-Encoding: identity"),
    ("Content-Length: 6", "Content-Length: 5"),
    ("Content-Length: -1",),
    ("Content-Length: 0x6",),
)


def _bearer(key: str) -> str:
    return f"Authorization: Bearer {key}"


KINDS: dict[str, Any] = {
    "no key": lambda key, n: _request(f"GET /v1/models?{n}"),
    "wrong key": lambda key, n: _request("GET /v1/models", _bearer(f"sk-{n:x}{'0' * 40}")),
    "almost the key": lambda key, n: _request("GET /v1/models", _bearer(key[:-1] + ("x" if key[-1] != "x" else "y"))),
    "huge body": lambda key, n: _request(f"POST {PATH}", _bearer(key), f"Content-Length: {10**10}", body=b"x" * 16384),
    "huge chunk": lambda key, n: _request(
        f"POST {PATH}", _bearer(key), "Transfer-Encoding: chunked", body=b"fffffffff\r\n" + b"x" * 16384
    ),
    "slow loris": None,
    "path trick": lambda key, n: _request(f"GET {_PATHS[n // len(KINDS) % len(_PATHS)]}", _bearer(key)),
    "smuggling": lambda key, n: _request(
        f"POST {PATH}", _bearer(key), *_FRAMINGS[n // len(KINDS) % len(_FRAMINGS)], body=_SMUGGLED
    ),
    "header flood": lambda key, n: _request(
        "GET /v1/models", _bearer(key), *(f"X-{number}: {'y' * 1000}" for number in range(100))
    ),
    "no HTTP": lambda key, n: bytes((n * 7 + step) % 256 for step in range(64)) + b"\r\n\r\n",
}


def hostile(options: argparse.Namespace) -> dict[str, Any]:
    """Attack with so many requests from so small a share of the CPU."""
    attacker = Attacker(options)
    asyncio.run(attacker.attack(options.requests, options.at_once))
    return attacker.result()


def main() -> int:
    """Run one of the clients."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kind", choices=["latency", "pairs", "honest", "hostile"])
    parser.add_argument("--direct", default="http://127.0.0.1:8000")
    parser.add_argument("--gateway", default="https://127.0.0.1:8443")
    parser.add_argument("--ca", default="/etc/nodestack/gateway/ca.pem")
    parser.add_argument("--key-file", default="/etc/nodestack/credentials/gateway_key")
    parser.add_argument("--engine-key-file", default="/etc/nodestack/credentials/api_key")
    parser.add_argument("--model", default="")
    parser.add_argument("--max-tokens", type=int, default=64)
    parser.add_argument("--pairs", type=int, default=10)
    parser.add_argument("--requests", type=int, default=300)
    parser.add_argument("--warm-up", type=int, default=20)
    parser.add_argument("--chunks", type=int, default=5)
    parser.add_argument("--pace-ms", type=float, default=20)
    parser.add_argument("--first-ms", type=float, default=50)
    parser.add_argument("--per-second", type=float, default=4)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--at-once", type=int, default=512)
    parser.add_argument("--cpu-share", type=float, default=0.25)
    parser.add_argument("--limit-s", type=float, default=1200)
    options = parser.parse_args()
    run = {"latency": latency, "pairs": pairs, "honest": honest, "hostile": hostile}[options.kind]
    print(json.dumps(run(options)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
