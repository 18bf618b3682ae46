"""A stand-in of the engine: streams at a fixed rate, notes all that reaches it, and answers what it should never get.

Runs on a node: `python3 upstream.py PORT LOG [PACE_MS]`. Standard library only. Times are of the machine's monotonic
clock, so that a client on the same node can compare them with its own.
"""

import asyncio
import json
import sys
import time
from pathlib import Path
from typing import Any

DEFAULTS = {"chunks": 20, "pace_ms": 20, "first_ms": 0, "until": ""}


class Upstream:
    """The server.

    Args:
        log: Gets a line of JSON for each request.
    """

    def __init__(self, log: Path) -> None:
        self._log = log.open("a", buffering=1, encoding="utf-8")

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer the requests of one connection."""
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                arrived = time.monotonic_ns()
                line, *fields = head.split("\r\n")
                headers = {name.lower(): value.strip() for name, _, value in (f.partition(":") for f in fields if f)}
                body = await reader.readexactly(int(headers.get("content-length", "0")))
                method, target, _ = line.split(" ", 2)
                self._log.write(json.dumps({"method": method, "target": target, "headers": headers}) + "\n")
                if not await self._answer(writer, target.partition("?")[0], body, arrived):
                    return
                if headers.get("connection", "").lower() == "close":
                    return
        except (asyncio.IncompleteReadError, ConnectionError, ValueError):
            return
        finally:
            writer.close()

    async def _answer(self, writer: asyncio.StreamWriter, path: str, body: bytes, arrived: int) -> bool:
        if path == "/health":
            self._whole(writer, b"")
        elif path == "/v1/models":
            self._whole(writer, json.dumps({"object": "list", "data": [{"id": "stand-in"}]}).encode())
        elif path == "/v1/chat/completions":
            asked = {**DEFAULTS, **(json.loads(body) if body else {})}
            await self._stream(writer, asked, arrived)
        else:
            self._whole(writer, b'{"leaked": true}')
        await writer.drain()
        return True

    async def _stream(self, writer: asyncio.StreamWriter, asked: dict[str, Any], arrived: int) -> None:
        writer.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nServer: stand-in\r\n"
            b"X-Arrived: %d\r\nTransfer-Encoding: chunked\r\n\r\n" % arrived
        )
        await asyncio.sleep(asked["first_ms"] / 1000)
        start = time.monotonic()
        for number in range(asked["chunks"]):
            if asked["until"] and Path(asked["until"]).exists():
                break
            event = json.dumps({"number": number, "sent": time.monotonic_ns()}).encode()
            data = b"data: " + event + b"\n\n"
            writer.write(b"%x\r\n%s\r\n" % (len(data), data))
            await writer.drain()
            # From the beginning and not from the last chunk: the rate is fixed whatever a sleep overshoots by.
            await asyncio.sleep(max(0.0, start + (number + 1) * asked["pace_ms"] / 1000 - time.monotonic()))
        writer.write(b"e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n")

    def _whole(self, writer: asyncio.StreamWriter, body: bytes) -> None:
        writer.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
        )


async def main() -> None:
    """Serve until the process ends."""
    upstream = Upstream(Path(sys.argv[2]))
    server = await asyncio.start_server(upstream.serve, "127.0.0.1", int(sys.argv[1]), limit=1 << 16, backlog=1024)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
