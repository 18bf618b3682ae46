"""A server of files that is never the bottleneck: the kernel moves their bytes to the socket (sendfile).

Run as `python -P benchmarks/file_server.py DIRECTORY PORT`; it serves on the loopback address until it is told to end.
"""

import http.server
import os
import sys
from pathlib import Path

_PARTIAL, _WHOLE, _NOT_FOUND = 206, 200, 404


class Files(http.server.BaseHTTPRequestHandler):
    """Answers GET and HEAD, with one range."""

    protocol_version = "HTTP/1.1"
    root: Path

    def do_GET(self) -> None:
        """Send a file."""
        self._answer(with_body=True)

    def do_HEAD(self) -> None:
        """Send what is said of a file."""
        self._answer(with_body=False)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""

    def _answer(self, *, with_body: bool) -> None:
        path = self.root / self.path.lstrip("/")
        if not path.is_file():
            self.send_error(_NOT_FOUND)
            return
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            asked = self.headers.get("Range", "").removeprefix("bytes=")
            first, _, last = asked.partition("-")
            start, end = int(first or 0), int(last) + 1 if last else size
            self.send_response(_PARTIAL if asked else _WHOLE)
            if asked:
                self.send_header("Content-Range", f"bytes {start}-{end - 1}/{size}")
            self.send_header("Accept-Ranges", "bytes")
            self.send_header("Content-Length", str(end - start))
            self.end_headers()
            while with_body and start < end:
                start += os.sendfile(self.connection.fileno(), file.fileno(), start, end - start)


def main(directory: str, port: str) -> None:
    """Serve until told to end."""
    Files.root = Path(directory)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", int(port)), Files)
    server.daemon_threads = True
    server.serve_forever()


if __name__ == "__main__":
    main(*sys.argv[1:])
