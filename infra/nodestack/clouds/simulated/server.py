"""Serve an application on this machine's loopback, for as long as a block lasts."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from starlette.types import ASGIApp

_START_PATIENCE_S = 10.0
_STOP_PATIENCE_S = 10.0


@contextmanager
def serve(app: ASGIApp, port: int = 0) -> Iterator[str]:
    """Serve on a free port, or the one given, and yield the base URL, e.g. `http://127.0.0.1:40123`.

    Requests that hang on purpose do not keep it from stopping.

    Raises:
        TimeoutError: It did not start.
    """
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
        config = uvicorn.Config(
            app, log_level="critical", access_log=False, lifespan="off", timeout_graceful_shutdown=0, ws="none"
        )
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        deadline = time.monotonic() + _START_PATIENCE_S
        while not server.started:
            if time.monotonic() > deadline or not thread.is_alive():
                raise TimeoutError(f"the server did not start within {_START_PATIENCE_S:g} s")
            time.sleep(0.005)
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(_STOP_PATIENCE_S)
