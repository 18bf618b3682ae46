"""Real vLLM on a node: requests survive its end, and what does not come up is taken back for what served before."""

import json
import os
import shlex
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from nodestack.planning.plan import PORT
from tests.playbooks.reached import Play
from tests.playbooks.site_bench import API_KEY, Bench
from tests.playbooks.vllm import clients

pytestmark = [pytest.mark.node, pytest.mark.vllm, pytest.mark.qualify, pytest.mark.timeout(1800)]

HERE = Path(__file__).parent
UNIT = "nodestack-vllm.service"
DRAIN = "/usr/local/lib/nodestack/gateway-drain"
FRONT_PORT = 8088
LONG_TOKENS = int(os.environ.get("NODESTACK_DRILL_TOKENS", "300"))
RECORD = "/var/lib/nodestack/engine-start.json"


@dataclass(frozen=True)
class Front:
    """What clients talk to."""

    url: str
    key: str


@pytest.fixture(scope="module")
def front(converged: Bench) -> Iterator[Front]:
    """Return the node's gateway, or a stand-in that drains as it does where the node has none.

    NODESTACK_DRILL_URL and NODESTACK_DRILL_KEY name another one, as it is reached on the node.
    """
    for program in ("clients.py", "front.py"):
        converged.put(f"/run/{program}", (HERE / program).read_text(encoding="utf-8"))
    named = os.environ.get("NODESTACK_DRILL_URL")
    if named:
        yield Front(named, os.environ.get("NODESTACK_DRILL_KEY", API_KEY))
        return
    if converged.on("systemctl is-active nodestack-gateway") == "active":
        yield Front(f"https://127.0.0.1:{converged.document().gateway_port}", API_KEY)
        return
    flag = "/run/nodestack/draining"
    converged.put(DRAIN, f'#!/bin/sh\nset -eu\nif [ "$1" = on ]; then : > {flag}; else rm -f {flag}; fi\n')
    converged.on(f"chmod 755 {DRAIN}")
    command = f"/usr/bin/python3 -I /run/front.py {FRONT_PORT} {PORT} {flag}"
    listens = f"until curl -so /dev/null http://127.0.0.1:{FRONT_PORT}; do sleep 0.2; done"
    converged.on(f"systemd-run --quiet --unit drill-front {command}; timeout 60 sh -c {shlex.quote(listens)}")
    try:
        yield Front(f"http://127.0.0.1:{FRONT_PORT}", API_KEY)
    finally:
        converged.on(f"systemctl stop drill-front; rm -f {DRAIN} {flag}")


class Drill:
    """Twenty long requests under way, and short ones that keep coming until this ends."""

    def __init__(self, node: Bench, front: Front) -> None:
        self.node = node
        self.begun, self.end = "/run/drill-begun", "/run/drill-end"
        node.on(f"rm -f {self.begun} {self.end} /run/drill-result")
        node.put("/run/drill-key", front.key)
        model = node.document().vllm_served_model_name
        words = f'{front.url} "$(cat /run/drill-key)" {model} {LONG_TOKENS} {self.begun} {self.end}'
        node.put("/run/drill", f"exec /usr/bin/python3 -I /run/clients.py {words} > /run/drill-result 2>&1\n")
        node.on("systemd-run --quiet --collect --unit drill-clients sh /run/drill")

    def wait_until_under_way(self) -> int:
        """Return how many requests the engine computes once all are accepted."""
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            running = self.node.on(
                f"test -e {self.begun} && curl -s http://127.0.0.1:{PORT}/metrics | grep ^vllm:num_requests_running"
            )
            if running and float(running.rsplit(" ", 1)[1]) >= clients.LONG_REQUESTS:
                return round(float(running.rsplit(" ", 1)[1]))
            time.sleep(0.2)
        raise AssertionError(self.node.on("cat /run/drill-result; journalctl -u drill-clients -n 20"))

    def ended(self) -> dict[str, dict[str, int]]:
        """Return how the requests ended."""
        self.node.on(f"touch {self.end}")
        deadline = time.monotonic() + clients.PATIENCE_S
        while self.node.on("systemctl is-active drill-clients") == "active" and time.monotonic() < deadline:
            time.sleep(0.5)
        said = self.node.on("cat /run/drill-result")
        content: dict[str, dict[str, int]] = json.loads(said.splitlines()[-1])
        return content


def wait_until_let_in(node: Bench) -> None:
    deadline = time.monotonic() + 600
    while (
        node.on("systemctl is-active nodestack-vllm-ready; test -e /run/nodestack/draining && echo draining")
        != "inactive"
    ):
        assert time.monotonic() < deadline, node.on(f"journalctl -n 50 -u {UNIT} -u nodestack-vllm-ready")
        time.sleep(1)


def reconfigure(node: Bench) -> Play:
    options = node.document().vllm_options | {"max-num-batched-tokens": 1040}
    return node.play("vllm", vllm_options=options)


@pytest.mark.parametrize("way", ["stop", "restart", "reconfigure"])
def test_none_of_twenty_running_requests_is_cut(converged: Bench, front: Front, way: str, record_property: Any) -> None:
    drill = Drill(converged, front)
    running = drill.wait_until_under_way()
    began = time.monotonic()
    if way == "reconfigure":
        played = reconfigure(converged)
        assert played.exit_code == 0, played.text
        record_property("gap_seconds", converged.result("engine")["gap_seconds"])
        record_property("start_seconds", converged.result("engine")["start_seconds"])
    else:
        converged.on(f"systemctl {way} {UNIT}")
        record_property(f"{way}_seconds", round(time.monotonic() - began, 1))
    if way == "stop":
        time.sleep(2)
        converged.on(f"systemctl start {UNIT}")
    wait_until_let_in(converged)
    ended = drill.ended()
    record_property("requests", ended)
    assert running >= clients.LONG_REQUESTS
    assert ended["long"] == {"finished": clients.LONG_REQUESTS}
    assert ended["short"].keys() <= {"finished", "refused"}, ended
    assert ended["short"]["refused"] > 0, "what came meanwhile was refused before it was accepted"
    if way == "reconfigure":
        assert converged.play("vllm").exit_code == 0, "back to what the other tests expect"


def serves(node: Bench) -> dict[str, object]:
    """Return what the running service is: its start, its options, and what the engine says of its longest sequence."""
    asked = f'curl -s -H "Authorization: Bearer $(cat /etc/nodestack/credentials/api_key)" http://127.0.0.1:{PORT}/v1/models'
    return {
        "active": node.on(f"systemctl is-active {UNIT}"),
        "options": node.on("sha256sum /etc/nodestack/vllm.yaml"),
        "max_model_len": json.loads(node.on(asked))["data"][0]["max_model_len"],
    }


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"max-model-len": 1_000_000}, "max_model_len"),
        ({"max-model-len": 64, "max-num-batched-tokens": 64}, "not fit for use"),
    ],
    ids=["does not come up", "gives wrong replies"],
)
def test_what_fails_is_taken_back_by_itself_and_said_and_the_next_run_tries_again(
    converged: Bench, wrong: dict[str, object], says: str, record_property: Any
) -> None:
    before = serves(converged)
    options = converged.document().vllm_options | wrong
    began = time.monotonic()
    failed = converged.play("vllm", "smoke", vllm_options=options)
    record_property("return_seconds", round(time.monotonic() - began, 1))
    assert failed.exit_code != 0
    assert says in failed.failure, failed.text
    assert "the former one, vLLM 0.23.0 with its options and weights, serves again after" in failed.failure
    assert serves(converged) == before
    engine = converged.result("engine")
    assert engine["pass"] is True and says in engine["failure"]

    again = converged.play("vllm", "smoke", vllm_options=options)
    assert again.exit_code != 0 and says in again.failure
    mended = converged.play("vllm", "smoke")
    assert (mended.exit_code, serves(converged)) == (0, before)
    assert converged.result("engine")["failure"] == ""
    assert converged.play("vllm", "smoke").changed == 0


def test_options_that_the_parser_refuses_leave_the_running_one_alone(converged: Bench) -> None:
    started = converged.on(f"cat {RECORD}")
    refused = converged.play("vllm", vllm_options={"no-such-option": 1})
    assert refused.exit_code != 0
    assert "no-such-option" in refused.failure
    assert converged.on(f"cat {RECORD}") == started
    assert converged.on(f"systemctl is-active {UNIT}") == "active"


def test_systemd_says_in_the_journal_why_it_took_so_long(converged: Bench) -> None:
    """The units' own words are for whoever looks at a node that stops or starts."""
    said = converged.on("journalctl -u nodestack-vllm-ready --no-pager -n 40")
    assert "requests are let in" in said
