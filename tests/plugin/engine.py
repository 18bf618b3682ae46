"""The engine's side of the plugin's protocol, as the tests need it: calls with plain Python, failures taken apart."""

import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event

import grpc
from google.protobuf.empty_pb2 import Empty
from pulumi.runtime.proto import provider_pb2 as protocol
from pulumi.runtime.proto.engine_pb2 import LogRequest
from pulumi.runtime.proto.engine_pb2_grpc import EngineServicer, add_EngineServicer_to_server
from pulumi.runtime.proto.provider_pb2_grpc import ResourceProviderStub, add_ResourceProviderServicer_to_server
from pulumi.runtime.proto.status_pb2 import Status

from nodestack.clouds.base import Account, Cloud
from nodestack.plugin.progress import Silence
from nodestack.plugin.properties import Properties, decode, encode
from nodestack.plugin.servicer import Servicer

ROOT = Path(__file__).resolve().parents[2]


def urn(kind: str, name: str = "it") -> str:
    return f"urn:pulumi:test::nodestack::nodestack:index:Parent$nodestack:index:{kind}::{name}"


@dataclass(frozen=True)
class Failed(Exception):
    """A call that ended with an error; with an id when the engine would keep the resource."""

    message: str
    kept_id: str = ""
    outputs: Properties | None = None
    reasons: tuple[str, ...] = ()
    refresh_before_update: bool = False


@dataclass(frozen=True)
class Existing:
    """A resource as the engine records it."""

    kind: str
    resource_id: str
    inputs: Mapping[str, object]
    outputs: Properties


class Engine:
    """Calls a plugin as the engine does; holds it to sending `refresh_before_update` every time."""

    def __init__(self, port: int) -> None:
        self._channel = grpc.insecure_channel(f"127.0.0.1:{port}")
        self.stub = ResourceProviderStub(self._channel)

    def close(self) -> None:
        self._channel.close()

    def check(self, kind: str, news: Mapping[str, object], olds: Mapping[str, object] | None = None) -> dict[str, str]:
        request = protocol.CheckRequest(urn=urn(kind), olds=encode(olds or {}), news=encode(news))
        with _taken_apart():
            answer = self.stub.Check(request)
        assert answer.inputs == request.news
        return {failure.property: failure.reason for failure in answer.failures}

    def diff(self, before: Existing, news: Mapping[str, object]) -> protocol.DiffResponse:
        request = protocol.DiffRequest(
            urn=urn(before.kind),
            id=before.resource_id,
            olds=encode(before.outputs),
            old_inputs=encode(before.inputs),
            news=encode(news),
        )
        with _taken_apart():
            answer: protocol.DiffResponse = self.stub.Diff(request)
        return answer

    def create(self, kind: str, inputs: Mapping[str, object], *, preview: bool = False) -> Existing:
        request = protocol.CreateRequest(urn=urn(kind), properties=encode(inputs), preview=preview)
        with _taken_apart():
            answer = self.stub.Create(request)
        assert answer.refresh_before_update
        return Existing(kind, answer.id, inputs, decode(answer.properties))

    def read(self, before: Existing) -> Existing | None:
        request = protocol.ReadRequest(
            urn=urn(before.kind),
            id=before.resource_id,
            properties=encode(before.outputs),
            inputs=encode(before.inputs),
        )
        with _taken_apart():
            answer = self.stub.Read(request)
        if not answer.id:
            return None
        assert answer.refresh_before_update
        assert answer.inputs == request.inputs
        return Existing(before.kind, answer.id, before.inputs, decode(answer.properties))

    def update(self, before: Existing, news: Mapping[str, object], *, preview: bool = False) -> Existing:
        request = protocol.UpdateRequest(
            urn=urn(before.kind),
            id=before.resource_id,
            olds=encode(before.outputs),
            old_inputs=encode(before.inputs),
            news=encode(news),
            preview=preview,
        )
        with _taken_apart():
            answer = self.stub.Update(request)
        assert answer.refresh_before_update
        return Existing(before.kind, before.resource_id, news, decode(answer.properties))

    def delete(self, before: Existing) -> None:
        request = protocol.DeleteRequest(
            urn=urn(before.kind),
            id=before.resource_id,
            properties=encode(before.outputs),
            old_inputs=encode(before.inputs),
        )
        with _taken_apart():
            self.stub.Delete(request)

    def cancel(self) -> None:
        self.stub.Cancel(Empty())


class Log(EngineServicer):
    """Takes the log lines of a plugin.

    Attributes:
        lines: What came, in order.
        came: Set by each line.
    """

    def __init__(self) -> None:
        self.lines: list[LogRequest] = []
        self.came = Event()

    def Log(self, request: LogRequest, context: grpc.ServicerContext) -> Empty:
        self.lines.append(request)
        self.came.set()
        return Empty()


@contextmanager
def log_server() -> Iterator[tuple[Log, str]]:
    """Serve an engine's log on a free port."""
    log = Log()
    server = grpc.server(ThreadPoolExecutor(2))
    add_EngineServicer_to_server(log, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield log, f"127.0.0.1:{port}"
    server.stop(None).wait()


@contextmanager
def plugin_process(engine_address: str) -> Iterator[tuple[Engine, int]]:
    """Start the plugin as the engine does; gives the engine and the plugin's process id."""
    command = [sys.executable, "-u", str(ROOT / "infra" / "provider"), engine_address]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        engine = Engine(int(process.stdout.readline()))
        try:
            yield engine, process.pid
        finally:
            engine.close()
            process.terminate()


@contextmanager
def plugin_over(cloud: Cloud) -> Iterator[Engine]:
    """Serve the plugin's servicer over gRPC in this process, with a cloud of the test's own."""
    with plugin_opening(lambda account: cloud) as engine:
        yield engine


@contextmanager
def plugin_opening(open_account: Callable[[Account], Cloud]) -> Iterator[Engine]:
    """Serve the plugin's servicer over gRPC in this process."""
    server = grpc.server(ThreadPoolExecutor(8))
    cancelled = Event()
    servicer = Servicer(lambda address: Silence(), cancelled, open_account)
    add_ResourceProviderServicer_to_server(servicer, server)
    engine = Engine(server.add_insecure_port("127.0.0.1:0"))
    server.start()
    try:
        yield engine
    finally:
        cancelled.set()
        engine.close()
        server.stop(None).wait()


def closed_port() -> int:
    """Return a TCP port of this machine that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def process_ends(process_id: int, within_s: float) -> bool:
    """Wait for a process to end; one that nobody reaped yet has ended."""
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        state = Path(f"/proc/{process_id}/stat")
        if not state.exists() or state.read_text().rpartition(")")[2].split()[0] == "Z":
            return True
        time.sleep(0.05)
    return False


@contextmanager
def _taken_apart() -> Iterator[None]:
    try:
        yield
    except grpc.RpcError as error:
        assert isinstance(error, grpc.Call)
        raise _failed(error) from None


def _failed(call: grpc.Call) -> Failed:
    for name, value in call.trailing_metadata() or ():
        if name == "grpc-status-details-bin":
            assert isinstance(value, bytes)
            detail = protocol.ErrorResourceInitFailed()
            assert Status.FromString(value).details[0].Unpack(detail)
            return Failed(
                call.details() or "",
                detail.id,
                decode(detail.properties),
                tuple(detail.reasons),
                detail.refresh_before_update,
            )
    return Failed(call.details() or "")
