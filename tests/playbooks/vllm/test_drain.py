"""No request is cut when the engine ends: new ones are kept out first, and those that run are waited for."""

import http.client
import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from nodestack_vllm import drain, unit
from nodestack_vllm.unit import Load


class Time:
    """A clock that only waiting moves."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def idle_after(timeout_s: float, look: Callable[[float], Load | None]) -> tuple[int, float]:
    """Return how many requests were left, and the seconds that were waited."""
    time = Time()
    return drain.wait_until_idle(lambda: look(time.now), timeout_s, time, time.sleep), time.now


def test_nothing_in_flight_is_told_within_a_second() -> None:
    left, waited_s = idle_after(60, lambda now: Load(0, 0))
    assert (left, waited_s < 1) == (0, True)


def test_a_request_that_appears_late_is_waited_for() -> None:
    left, waited_s = idle_after(60, lambda now: Load(1, 1) if 0.3 < now < 20 else Load(0, 0))
    assert (left, 20 < waited_s < 21) == (0, True)


def test_a_reply_is_waited_for_until_its_last_byte() -> None:
    _, waited_s = idle_after(60, lambda now: Load(1 if now < 4 else 0, 1 if now < 6 else 0))
    assert 6 < waited_s < 7


def test_a_count_that_hung_up_clients_spoiled_does_not_hold_it_for_ever() -> None:
    left, waited_s = idle_after(60, lambda now: Load(0, 2))
    assert (left, waited_s < 10) == (0, True)
    left, waited_s = idle_after(60, lambda now: Load(1 if now < 4 else 0, -1))
    assert (left, 4 < waited_s < 5) == (0, True)


def test_the_time_that_requests_get_is_an_upper_limit() -> None:
    left, waited_s = idle_after(20, lambda now: Load(7, 8))
    assert (left, 20 <= waited_s < 21) == (8, True)


def test_an_engine_that_does_not_answer_is_not_waited_for() -> None:
    assert idle_after(60, lambda now: None) == (0, 0)


METRICS = """\
# HELP vllm:num_requests_running Number of requests in model execution batches.
# TYPE vllm:num_requests_running gauge
vllm:num_requests_running{engine="0",model_name="tiny"} 2.0
vllm:num_requests_running{engine="1",model_name="tiny"} 1.0
vllm:num_requests_waiting{engine="0",model_name="tiny"} 4.0
vllm:num_requests_waiting_by_reason{engine="0",model_name="tiny",reason="capacity"} 4.0
"""


class Engine:
    """A server with an engine's metrics, and a gateway that remembers what it was told."""

    def __init__(self, directory: Path) -> None:
        self.pages = {"/metrics": METRICS, "/load": json.dumps({"server_load": 8}), "/health": ""}
        self.url = ""
        self.told = directory / "told"
        self.gateway = directory / "gateway-drain"
        self.gateway.write_text(f'#!/bin/sh\necho "$1" >> {self.told}\n')
        self.gateway.chmod(0o755)

    def run(self, what: str, timeout_s: float = 1) -> int:
        return drain.main([what, f"--server={self.url}", f"--timeout-s={timeout_s}", f"--gateway={self.gateway}"])


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    one = Engine(tmp_path)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            page = one.pages.get(self.path)
            self.send_response(404 if page is None else 200)
            body = (page or "").encode()
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            return

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        one.url = f"http://127.0.0.1:{server.server_address[1]}"
        yield one
        server.shutdown()
        thread.join()


def test_requests_are_counted_over_all_engines_and_to_their_last_byte(engine: Engine) -> None:
    assert unit.load(engine.url) == Load(scheduled=7, answering=8)
    del engine.pages["/load"]
    assert unit.load(engine.url) == Load(scheduled=7, answering=0)
    engine.pages["/load"] = "no JSON"
    assert unit.load(engine.url) == Load(scheduled=7, answering=0)


def test_the_gateway_is_told_first_and_what_does_not_end_is_said(
    engine: Engine, capsys: pytest.CaptureFixture[str]
) -> None:
    assert engine.run("on") == 0
    assert engine.told.read_text() == "on\n"
    assert capsys.readouterr().out == "8 requests still run after 1 s: the engine is told to end them\n"


def test_requests_are_let_in_only_once_the_engine_answers(engine: Engine, capsys: pytest.CaptureFixture[str]) -> None:
    del engine.pages["/health"]
    assert engine.run("off", timeout_s=0.5) == 1
    assert not engine.told.exists()
    assert "no requests are let in" in capsys.readouterr().err
    engine.pages["/health"] = ""
    assert engine.run("off") == 0
    assert engine.told.read_text() == "off\n"


def test_a_gateway_that_fails_is_told_of_and_keeps_nothing_from_stopping(
    engine: Engine, capsys: pytest.CaptureFixture[str]
) -> None:
    engine.pages["/metrics"] = engine.pages["/load"] = ""
    engine.gateway.write_text("#!/bin/sh\necho no such thing >&2\nexit 3\n")
    assert engine.run("on") == 0
    assert "ended with 3, it said: no such thing" in capsys.readouterr().err
    engine.gateway.write_text("not a program")
    assert engine.run("on") == 0
    engine.gateway.unlink()
    assert engine.run("on") == 0


def test_a_server_that_breaks_off_counts_as_none(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise http.client.RemoteDisconnected("closed")

    monkeypatch.setattr("urllib.request.urlopen", broken)
    assert unit.load("http://127.0.0.1:9") is None
