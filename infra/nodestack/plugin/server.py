"""Starts the plugin: serves on a free port, prints it for the engine, and ends with the engine."""

import os
import signal
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import grpc
from pulumi.runtime.proto.provider_pb2_grpc import add_ResourceProviderServicer_to_server

from nodestack.plugin.progress import EngineLog, Sink, engine_draws_on_terminal
from nodestack.plugin.servicer import Servicer

_WORKERS = 32
_LONGEST_MESSAGE_BYTES = 400 * 1024 * 1024
_STOP_GRACE_S = 10.0
_PARENT_POLL_S = 1.0
_OPTIONS = (
    ("grpc.max_receive_message_length", _LONGEST_MESSAGE_BYTES),
    ("grpc.max_send_message_length", _LONGEST_MESSAGE_BYTES),
)


def main() -> None:
    """Serve until told to stop, or until the process that started this one is gone."""
    # Playbooks run in child processes; gRPC's notes about forks would end up between the user's lines.
    os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
    parent = os.getppid()
    cancelled, ended = threading.Event(), threading.Event()

    # Ctrl-C reaches the whole process group: the engine answers it, with Cancel. A handler, not SIG_IGN, because
    # children would inherit that.
    signal.signal(signal.SIGINT, lambda number, frame: None)
    signal.signal(signal.SIGTERM, lambda number, frame: ended.set())

    live = engine_draws_on_terminal(parent)
    servicer = Servicer(lambda address: _sink(address, live=live), cancelled)
    if engine_address := _engine_address(sys.argv[1:]):
        servicer.attach(engine_address)
    server = grpc.server(ThreadPoolExecutor(_WORKERS), options=_OPTIONS)
    add_ResourceProviderServicer_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print(port, flush=True)

    _wait(ended, lambda: os.getppid() != parent)
    cancelled.set()
    # Calls in flight get to answer; then the process goes, with whatever was left behind in threads.
    server.stop(_STOP_GRACE_S).wait(_STOP_GRACE_S)
    os._exit(0)


def _wait(ended: threading.Event, orphaned: Callable[[], bool]) -> None:
    while not ended.wait(_PARENT_POLL_S):
        if orphaned():
            return


def _sink(address: str, *, live: bool) -> Sink:
    return EngineLog(address, live=live)


def _engine_address(arguments: list[str]) -> str:
    return next((argument for argument in arguments if not argument.startswith("-")), "")
