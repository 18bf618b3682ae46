"""Starts the language host: serves on a free local port, prints it, and ends with its engine or on a signal."""

import argparse
import os
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import FrameType
from typing import NoReturn

import grpc
from pulumi.runtime.proto import language_pb2_grpc

from language_host.children import Children
from language_host.host import Host

ENGINE_POLL_INTERVAL_S = 0.25
# The engine holds one call open for the program and one for each plugin.
CALLS_AT_ONCE = 64


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--engine-pid", type=int, required=True, help="the process this host ends with")
    parser.add_argument("--program-runner", type=Path, required=True, help="the script that runs a program")
    # The engine passes its address last and may add flags of its own.
    known, rest = parser.parse_known_args()
    known.engine_address = rest[-1] if rest else ""
    return known


def _wait_for_the_engine_to_end(engine_pid: int, ended: threading.Event) -> None:
    while os.getppid() == engine_pid:
        if ended.wait(ENGINE_POLL_INTERVAL_S):
            return
    ended.set()


def main() -> NoReturn:
    """Serve until the engine ends or a signal comes; every child is gone when this returns."""
    arguments = _arguments()
    ended = threading.Event()

    def _end(_signal: int, _frame: FrameType | None) -> None:
        ended.set()

    signal.signal(signal.SIGINT, _end)
    signal.signal(signal.SIGTERM, _end)
    children = Children()
    host = Host(arguments.engine_address, arguments.program_runner.absolute(), children)
    server = grpc.server(
        ThreadPoolExecutor(max_workers=CALLS_AT_ONCE),
        options=[("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)],
    )
    language_pb2_grpc.add_LanguageRuntimeServicer_to_server(host, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print(port, flush=True)
    threading.Thread(target=_wait_for_the_engine_to_end, args=(arguments.engine_pid, ended), daemon=True).start()
    ended.wait()
    children.end_all()
    # Calls still open would keep the server's threads, and so this process, alive.
    os._exit(0)
