"""Transfers: how fast they may be, what is borne with, and to whom the token goes."""

import hashlib
import os
import socket
import threading
import time
from collections.abc import Iterator
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest
from nodestack_weights import patience, streams
from nodestack_weights.patience import Patience
from nodestack_weights.throttle import Throttle
from nodestack_weights.transfer import Stopped
from nodestack_weights.writing import Growing

from nodestack.clouds.local import tiny_model
from tests import hubs
from tests.playbooks.weights.conftest import Node

SHARD = "model-00002-of-00005.safetensors"
CUT_AT = 400_000


@pytest.fixture
def signing_node(node: Node, tmp_path: Path) -> Iterator[Node]:
    """A node whose hub wants a token, and sends large files from signed addresses of another origin."""
    token = tmp_path / "token"
    token.write_text("hf_secret\n")
    with hubs.running(tmp_path, "--signed-for-s", "30", "--token-file", str(token)) as hub:
        node.hub = hub
        yield node


def test_files_come_from_signed_addresses_which_never_see_the_token(signing_node: Node, tmp_path: Path) -> None:
    signing_node.fetch(token_file=str(tmp_path / "token"))

    signed = [body for body in signing_node.hub.requests() if body["path"].startswith("/signed/")]
    assert {body["status"] for body in signed} == {200}, "with a token it would have been 400"
    assert len(signed) == len(list(tiny_model.checkpoint().glob("*.safetensors")))
    assert signing_node.is_what_the_hub_has()


@pytest.mark.parametrize("status", [400, 403, 410])
def test_an_address_that_expired_in_mid_file_is_asked_for_anew_and_the_file_continued(
    signing_node: Node, tmp_path: Path, status: int
) -> None:
    signing_node.hub.go_wrong(
        {"path": f"/signed/*/{SHARD}", "cut_after_bytes": CUT_AT},
        {"path": f"/signed/*/{SHARD}", "status": status},
    )

    signing_node.fetch(token_file=str(tmp_path / "token"))

    asked = [
        ("hub" if "/resolve/" in request["path"] else "store", request["range"], request["status"])
        for request in signing_node.hub.requests()
        if request["path"].endswith(SHARD)
    ]
    onwards = f"bytes={CUT_AT}-"
    assert sorted(asked, key=str) == sorted(
        [
            *(("hub", None, 302), ("store", None, 200), ("hub", onwards, 302), ("store", onwards, status)),
            *(("hub", onwards, 302), ("store", onwards, 206)),
        ],
        key=str,
    )
    assert signing_node.is_what_the_hub_has()


def test_a_refusal_of_the_hub_itself_is_final(node: Node) -> None:
    node.hub.go_wrong({"path": f"*/{SHARD}", "status": 403, "times": 9})

    assert f"answered 403 for {SHARD}" in node.refused_fetch()
    assert sum(body["status"] == 403 for body in node.hub.bodies()) == 1


def test_a_hub_that_asks_to_wait_is_given_the_time(node: Node) -> None:
    node.hub.go_wrong({"path": f"*/{SHARD}", "status": 429, "retry_after": "3"})

    assert node.fetch()["seconds"] > 3


def test_a_hub_that_cannot_list_the_files_now_is_asked_again(node: Node) -> None:
    node.hub.go_wrong({"path": "/api/models/*", "status": 503, "times": 2})

    node.fetch()

    assert node.is_what_the_hub_has()


def test_all_files_together_stay_below_the_limit(node: Node) -> None:
    total = sum(path.stat().st_size for path in tiny_model.checkpoint().iterdir())

    result = node.fetch(limit_mbit_s="8", workers="16")

    assert result["seconds"] > 0.9 * total / 1e6
    assert node.is_what_the_hub_has()


def test_the_bucket_lets_through_its_rate_and_a_tenth_of_a_second_more() -> None:
    now = [100.0]

    def sleep(seconds: float) -> None:
        now[0] += seconds

    throttle = Throttle(1000, lambda: now[0], sleep)
    for _ in range(50):
        throttle.wait(100)
    assert now[0] == pytest.approx(105.0)
    now[0] += 60
    for _ in range(10):
        throttle.wait(100)
    assert now[0] == pytest.approx(105 + 60 + 1 - 0.1), "what was not used is not saved up"


def test_without_a_limit_nothing_waits() -> None:
    throttle = Throttle(0)
    assert (throttle.most(5000), throttle.wait(10**12)) == (5000, 0.0)
    assert Throttle(1000).most(5000) == 100


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, 0),
        ({"Retry-After": "17"}, 17),
        ({"Retry-After": " 17 "}, 17),
        ({"Retry-After": "soon"}, 0),
        ({"Retry-After": "-5"}, 0),
        ({"RateLimit": '"resolvers";r=0;t=42'}, 42),
        ({"RateLimit": '"resolvers";r=7;t=42'}, 0),
    ],
)
def test_what_a_hub_asks_to_wait_is_understood(headers: dict[str, str], seconds: float) -> None:
    assert patience.asked_pause_s(headers) == seconds


def test_a_date_is_waited_for_and_one_that_is_past_is_not() -> None:
    assert 55 < patience.asked_pause_s({"Retry-After": formatdate(time.time() + 60, usegmt=True)}) <= 60
    assert patience.asked_pause_s({"Retry-After": formatdate(time.time() - 60, usegmt=True)}) == 0


def test_pauses_double_and_end_where_nobody_would_wait_longer() -> None:
    bears = Patience(longest_pause_s=15)
    assert [bears.pause_s(attempt) for attempt in (1, 2, 3, 4, 5, 6)] == [1, 2, 4, 8, 15, 15]
    assert bears.pause_s(1, asked_s=40) == 40
    assert bears.pause_s(1, asked_s=86_400) == bears.longest_asked_pause_s


def test_what_grew_in_two_runs_has_the_hash_of_the_whole(tmp_path: Path) -> None:
    with Growing(tmp_path / "part") as file:
        file.append(b"first ")
    with Growing(tmp_path / "part") as file:
        file.append(b"second")
        file.settle()
        assert (file.size, file.sha256(lambda: None)) == (12, hashlib.sha256(b"first second").hexdigest())
    assert (tmp_path / "part").read_bytes() == b"first second"


def test_what_is_begun_anew_has_the_hash_of_what_is_there_then(tmp_path: Path) -> None:
    pieces = [bytes([number]) * 700_000 for number in range(9)]
    with Growing(tmp_path / "part") as file:
        for piece in pieces:
            file.append(piece)
        file.clear()
        for piece in reversed(pieces):
            file.append(piece)
        assert file.size == 9 * 700_000
        assert file.sha256(lambda: None) == hashlib.sha256(b"".join(reversed(pieces))).hexdigest()
    assert (tmp_path / "part").read_bytes() == b"".join(reversed(pieces))


def test_bytes_come_in_while_those_before_them_are_not_hashed_yet(tmp_path: Path, monkeypatch: Any) -> None:
    may_read, read = threading.Event(), os.preadv

    def held_up(*arguments: Any) -> int:
        may_read.wait(10)
        return read(*arguments)

    monkeypatch.setattr(os, "preadv", held_up)
    with Growing(tmp_path / "part") as file:
        for _ in range(4):
            file.append(b"x" * (1 << 20))
        file.settle()
        assert (tmp_path / "part").stat().st_size == 4 << 20
        may_read.set()
        assert file.sha256(lambda: None) == hashlib.sha256(b"x" * (4 << 20)).hexdigest()


def test_hashing_gives_way_until_the_file_is_whole_and_then_does_not(tmp_path: Path, monkeypatch: Any) -> None:
    """On a machine whose cores are all taken it would never end."""
    policies: list[int] = []
    monkeypatch.setattr(os, "sched_setscheduler", lambda _, policy, __: policies.append(policy))
    with Growing(tmp_path / "part") as file:
        file.append(b"x" * (1 << 20))
        file.append(b"y")
        file.sha256(lambda: None)
    assert policies == [os.SCHED_IDLE, os.SCHED_OTHER]


def test_a_run_that_is_stopped_does_not_wait_for_the_hash(tmp_path: Path, monkeypatch: Any) -> None:
    def stop() -> None:
        raise Stopped

    may_read = threading.Event()
    monkeypatch.setattr(os, "preadv", lambda *_: may_read.wait(10) and 0)
    with pytest.raises(Stopped), Growing(tmp_path / "part") as file:
        file.append(b"x")
        try:
            file.sha256(stop)
        finally:
            may_read.set()
    assert (tmp_path / "part").read_bytes() == b"x", "what came in is kept"


def test_a_file_that_another_shortened_is_no_whole_one(tmp_path: Path) -> None:
    with Growing(tmp_path / "part") as file:
        file.append(b"x" * 100)
        os.truncate(tmp_path / "part", 50)
        with pytest.raises(OSError, match="ends at byte 50 of 100"):
            file.sha256(lambda: None)


def test_a_proxy_is_used_and_the_token_for_the_hub_is_not_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as proxy:
        heard: list[bytes] = []

        def answer() -> None:
            connection, _ = proxy.accept()
            with connection:
                heard.append(connection.recv(65536))
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

        thread = threading.Thread(target=answer)
        thread.start()
        monkeypatch.setenv("http_proxy", f"http://user:word@127.0.0.1:{proxy.getsockname()[1]}")
        monkeypatch.delenv("no_proxy", raising=False)
        with streams.get("http://hub.example/file?x=1", {"Range": "bytes=5-"}, None, 5) as body:
            assert (body.status, body.read()) == (200, b"ok")
        thread.join()
    asked = heard[0].decode().lower()
    assert asked.startswith("get http://hub.example/file?x=1 http/1.1")
    assert "proxy-authorization: basic dxnlcjp3b3jk" in asked
    assert "range: bytes=5-" in asked


@pytest.mark.parametrize("url", ["ftp://hub.example/file", "file:///etc/passwd", "http://hub.example:port/file"])
def test_an_address_that_is_none_of_the_web_is_not_followed(url: str) -> None:
    with pytest.raises(streams.Broken, match="an address"):
        streams.get(url, {}, None, 1)
