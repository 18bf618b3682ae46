"""What a model must reply to be fit for use, and what is said where it does not."""

import json
import os
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from nodestack_smoke.server import WRONG_KEY

from tests.playbooks.smoke.conftest import PROGRAMS, Smoke
from tests.playbooks.smoke.standin import COMMIT, KEY, MAX_MODEL_LEN, METRICS, MODEL, Api, Body, call, chat, pieces

FREE = [
    "request without a key",
    "request with a wrong key",
    "served model",
    "engine version",
    "commit of the weights",
    "metrics",
]
REASONING = ["reasoning apart from content", "streaming", "tool call", "JSON schema", "longest sequence"]


def test_a_reasoning_model_that_does_all_passes_and_its_words_are_kept(smoke: Smoke, api: Api) -> None:
    run = smoke.run()
    assert (run.returncode, run.stdout) == (0, '{"changed": true}\n'), run.stderr
    result = smoke.result()
    assert result["pass"] is True
    assert result["completion"] == "328."
    assert [check["check"] for check in result["checks"]] == [*FREE, *REASONING]
    assert all(check["remedy"] == "" and check["seconds"] >= 0 for check in result["checks"])
    assert not smoke.progress.exists()


@pytest.mark.parametrize(
    ("kind", "checks"),
    [
        ("chat", ["chat", "streaming", "JSON schema", "longest sequence"]),
        ("completion", ["completion", "streaming", "longest sequence"]),
    ],
)
def test_a_model_is_asked_only_what_its_kind_can(smoke: Smoke, api: Api, kind: str, checks: list[str]) -> None:
    if kind == "completion":
        api.chat = lambda body: (400, {"error": "no chat template"})
    else:
        api.chat = lambda body: chat(content="328.")
        api.stream = lambda body: pieces(["content"])
    assert smoke.run(kind).returncode == 0
    assert [check["check"] for check in smoke.result()["checks"]] == [*FREE, *checks]
    assert all("thinking_token_budget" not in body for body in api.asked)


def two_replies() -> list[str]:
    return [line.replace("chatcmpl-1", f"chatcmpl-{number}") for number, line in enumerate(pieces())]


def without_reasoning() -> tuple[int, Any]:
    """What a template gives that leaves the reasoning out: the same number of tokens with it and without."""
    status, reply = chat(content="18 degrees.")
    return status, {**reply, "usage": {"prompt_tokens": 60, "completion_tokens": 3}}


def misread(tokens: int) -> tuple[int, Any]:
    return 200, {"choices": [{"text": "x"}], "usage": {"prompt_tokens": tokens}}


PARIS = '{"city": "Paris", "unit": "celsius"}'
SERVED = {"id": MODEL, "root": "WEIGHTS", "max_model_len": MAX_MODEL_LEN}
RED: dict[str, list[tuple[dict[str, Any], str]]] = {
    "request without a key": [({"keys": {None}}, "expected HTTP 401, seen HTTP 200")],
    "request with a wrong key": [({"keys": {KEY, WRONG_KEY}}, "expected HTTP 401, seen HTTP 200")],
    "served model": [({"models": [{"id": "other"}, {"id": "third"}]}, "expected tiny, seen other, third")],
    "engine version": [({"version": "0.22.1"}, "expected 0.23.0, seen 0.22.1")],
    "commit of the weights": [({"models": [{**SERVED, "root": "/nowhere"}]}, "/nowhere, where no directory is")],
    "metrics": [({"metrics": METRICS[1:]}, "seen 2, without vllm:num_requests_running")],
    "reasoning apart from content": [
        ({"chat": chat(content="328.")}, "4 characters of content and no reasoning"),
        ({"chat": chat(reasoning="Add.")}, "seen 4 characters of reasoning, finish_reason stop"),
        ({"chat": chat("length", reasoning="Add.")}, "seen 4 characters of reasoning, finish_reason length"),
        ({"chat": chat(reasoning="A", content="B</think>328")}, "</think> in the content"),
        ({"chat": chat(content="328.", reasoning_content="Add.")}, "the field of an engine older than 0.23"),
        ({"chat": chat(content="")}, "seen an empty message"),
        ({"chat": (200, {"choices": []})}, "a reply without choices"),
        ({"chat": (200, {"choices": [{"text": "x"}]})}, "a choice without a message"),
        ({"chat": (200, b"[]")}, "no JSON object"),
        ({"chat": (500, b"out of memory\nat line 5")}, "HTTP 500: out of memory at line 5"),
    ],
    "streaming": [
        ({"stream": pieces(usage=False)}, "no usage at the end"),
        ({"stream": pieces(done=False)}, "without [DONE]"),
        ({"stream": pieces(["content"])}, "content in pieces where a whole reply has reasoning and content"),
        ({"stream": pieces()[-3:]}, "seen 1 pieces"),
        ({"stream": two_replies()}, "pieces of several replies"),
        ({"stream": ["data: {oops"]}, "no JSON: {oops"),
    ],
    "tool call": [
        ({"tool": chat(content="get_weather Paris")}, "seen no tool call, finish_reason stop"),
        ({"tool": call('{"city": "Paris"}')}, "unit is missing"),
        ({"tool": call('{"city": "Atlantis", "unit": "celsius"}')}, '"Atlantis" is none of Paris, Tokyo, Lima'),
        ({"tool": call('{"city": "Lima", "unit": "celsius", "x": 1}')}, "x is not asked for"),
        ({"tool": call('{"city": 5, "unit": "celsius"}')}, "city 5 is no string"),
        ({"tool": call('{"city": "Par')}, "arguments that are not JSON"),
        ({"tool": call("{}", name="rm")}, "a call of rm"),
        ({"tool": call(PARIS, reasoning=None)}, "without reasoning"),
        ({"second": (400, {"error": "content must be a string"})}, "HTTP 400"),
        ({"second": chat(content="")}, "then an empty reply to its result"),
        ({"second": without_reasoning()}, "a prompt that leaves the reasoning out"),
        ({"second": (200, {**chat(content="18")[1], "usage": None})}, "a reply without usage.prompt_tokens"),
    ],
    "JSON schema": [
        ({"structured": chat(content="Yes, it is.")}, "content that is not JSON: Yes, it is."),
        ({"structured": chat(content='{"city": "Paris", "is_capital": "yes"}')}, 'is_capital "yes" is no boolean'),
        ({"structured": chat("length", content='{"city": ')}, "finish_reason length"),
    ],
    "longest sequence": [
        ({"models": [{**SERVED, "max_model_len": None}]}, "no max_model_len in /v1/models"),
        ({"completion": (400, {"error": "no"})}, "HTTP 400"),
        ({"completion": misread(7)}, "7 of 120 tokens were read"),
    ],
}
CASES = [(check, changes, said) for check, cases in RED.items() for changes, said in cases]


@pytest.mark.parametrize(("check", "changes", "said"), CASES, ids=[f"{check}: {said}" for check, _, said in CASES])
def test_each_check_fails_alone_and_says_what_it_saw_and_what_to_do(
    smoke: Smoke, api: Api, check: str, changes: dict[str, Any], said: str
) -> None:
    for name, answer in changes.items():
        setattr(api, name, answer if name in {"keys", "models", "version", "metrics"} else always(answer))
    if api.models:
        api.models = [
            {**model, "root": model.get("root", "").replace("WEIGHTS", str(api.weights))} for model in api.models
        ]
    run = smoke.run()
    assert run.returncode == 1
    assert check in smoke.failed()
    found = next(one for one in smoke.result()["checks"] if one["check"] == check)
    assert said in f"expected {found['expected']}, seen {found['seen']}"
    assert found["remedy"]
    assert run.stderr.startswith("the model is not fit for use: ")
    assert run.stderr.count("\n") == 1
    if {"keys", "models"}.isdisjoint(changes):
        assert smoke.failed() == [check], "what is right is not said to be wrong"


def always(answer: Any) -> Callable[[Body], Any]:
    return lambda body: answer


def test_one_beyond_the_limit_must_be_refused_and_in_words_a_client_understands(smoke: Smoke, api: Api) -> None:
    right = api.completion

    def beyond(reply: tuple[int, Any]) -> Callable[[Body], tuple[int, Any]]:
        return lambda body: reply if right(body)[0] == 400 else right(body)

    cases = {
        "121 as well": right({"prompt": [1], "max_tokens": 1}),
        "121 refused with HTTP 500": (500, b"engine died"),
        "121 refused without the limit": (400, {"error": "bad"}),
    }
    for said, reply in cases.items():
        api.completion = beyond(reply)
        run = smoke.run()
        assert smoke.failed() == ["longest sequence"]
        assert said in run.stderr


def test_weights_that_were_switched_under_the_engine_are_seen(smoke: Smoke, api: Api, tmp_path: Path) -> None:
    other = api.weights.parent / "org--tiny" / ("d" * 40)
    other.mkdir()
    os.utime(api.weights, None, follow_symlinks=False)
    assert "was turned to it after the engine had started" in smoke.run().stderr
    api.weights.unlink()
    api.weights.symlink_to(other)
    assert f"expected {COMMIT}, seen {'d' * 40}" in smoke.run().stderr


def test_the_second_turn_has_the_reasoning_and_content_that_is_not_null(smoke: Smoke, api: Api) -> None:
    api.tool = lambda body: call('{"city": "Paris", "unit": "celsius"}', content=None, reasoning="Ask the service.")
    assert smoke.run().returncode == 0
    turns = [body for body in api.asked if any(message["role"] == "tool" for message in body.get("messages", []))]
    assistant = turns[0]["messages"][1]
    assert (assistant["content"], assistant["reasoning"]) == ("", "Ask the service.")
    assert turns[0]["messages"][2]["tool_call_id"] == assistant["tool_calls"][0]["id"]


def test_the_same_start_of_the_service_is_asked_only_once(smoke: Smoke, api: Api) -> None:
    smoke.run()
    asked = len(api.asked)
    assert smoke.run().stdout == '{"changed": false}\n'
    assert len(api.asked) == asked
    smoke.started("2nd")
    assert smoke.run().stdout == '{"changed": true}\n'
    assert smoke.run("chat_reasoning_tools", "--again").stdout == '{"changed": true}\n'
    assert len(api.asked) == 3 * asked


def test_after_a_failure_the_same_start_is_asked_again(smoke: Smoke, api: Api) -> None:
    well = api.chat
    api.chat = lambda body: chat(content="")
    assert smoke.run().returncode == 1
    assert smoke.result()["pass"] is False
    api.chat = well
    assert smoke.run().stdout == '{"changed": true}\n'


def test_what_else_is_wrong_is_told_too_and_nobody_is_asked_on_who_does_not_answer(smoke: Smoke, api: Api) -> None:
    api.chat, api.version = (lambda body: chat(content="")), "0.1.0"
    assert "1 more failed" in smoke.run().stderr
    assert smoke.failed() == ["engine version", "reasoning apart from content"]
    api.delay_s = 3
    assert "1 more failed" in smoke.run(timeout_s=1).stderr
    assert smoke.result()["checks"][-1]["seen"] == "no reply within 1 s"
    assert smoke.result()["checks"][-1]["check"] == "reasoning apart from content"
    smoke.url = "http://127.0.0.1:1"
    assert "seen no reply: [Errno 111] Connection refused" in smoke.run().stderr
    assert len(smoke.result()["checks"]) == 1


def test_a_runner_that_cannot_cut_reasoning_short_is_asked_without_it(smoke: Smoke, api: Api) -> None:
    def refuse(body: Body) -> tuple[int, Any]:
        if "thinking_token_budget" in body:
            return 400, {"error": {"message": "thinking_token_budget is not yet supported by the V2 model runner"}}
        return chat("length", reasoning="And so on")

    api.chat = refuse
    api.stream = lambda body: pieces(["reasoning"])
    assert smoke.run().returncode == 0
    assert ["thinking_token_budget" in body for body in api.asked] == [True] + [False] * (len(api.asked) - 1)


def test_the_gateway_is_asked_where_there_is_one(smoke: Smoke, api: Api, tmp_path: Path) -> None:
    assert smoke.run("chat_reasoning_tools", f"--gateway-url={smoke.url}").returncode == 0
    assert smoke.result()["checks"][-1]["check"] == "through the gateway"
    key = tmp_path / "gateway_key"
    key.write_text("sk-of-the-nodes-own-probes\n")
    own_key = smoke.run("chat_reasoning_tools", f"--gateway-url={smoke.url}", f"--gateway-key-file={key}", "--again")
    assert "seen HTTP 401" in own_key.stderr, "that key goes to the gateway and no other"
    assert smoke.failed() == ["through the gateway"]
    run = smoke.run("chat_reasoning_tools", "--gateway-url=http://127.0.0.1:1", "--again")
    assert "through the gateway: expected HTTP 401 without a key" in run.stderr
    assert "Connection refused" in run.stderr


def test_a_timer_asks_a_handful_of_tokens_and_leaves_the_gate_its_verdict(smoke: Smoke, api: Api) -> None:
    smoke.run()
    gate, api.asked = smoke.result(), []
    assert smoke.run("chat_reasoning_tools", "--light").returncode == 0
    assert [check["check"] for check in smoke.result("probe")["checks"]] == [*FREE, "few tokens"]
    assert [body["max_tokens"] for body in api.asked] == [8]
    assert smoke.result() == gate


def test_what_a_timer_found_wrong_is_asked_in_full_again_and_settled_by_that(smoke: Smoke, api: Api) -> None:
    smoke.run()
    well = api.chat
    api.chat = lambda body: (500, b"engine died")
    run = smoke.run("chat_reasoning_tools", "--light")
    assert run.returncode == 1
    assert run.stderr.startswith("few tokens: expected a reply, seen HTTP 500: engine died")
    assert len(api.asked) > 1, "one bad moment is no verdict"
    assert smoke.result("probe")["pass"] is False
    api.chat = well
    assert smoke.run().stdout == '{"changed": true}\n', "the same start, and yet asked again"
    assert not (smoke.state / "results" / "probe.json").exists()


def test_a_timer_has_no_verdict_on_a_service_that_is_starting(smoke: Smoke) -> None:
    smoke.url = "http://127.0.0.1:1"
    smoke.started("1st", since_s=20)
    assert "starting" in smoke.run("chat_reasoning_tools", "--light", "--start-timeout-s=60").stdout
    assert not (smoke.state / "results" / "probe.json").exists()
    smoke.started("1st", since_s=70)
    assert smoke.run("chat_reasoning_tools", "--light", "--start-timeout-s=60").returncode == 1
    smoke.started("1st", active="failed", since_s=20)
    assert smoke.run("chat_reasoning_tools", "--light", "--start-timeout-s=60").returncode == 1


def test_the_monitoring_gets_every_check_and_when_it_was_made(smoke: Smoke, api: Api) -> None:
    api.version = "0.1.0"
    smoke.run()
    lines = (smoke.state / "metrics" / "smoke.prom").read_text().splitlines()
    values = dict(line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
    assert [values[name] for name in ("nodestack_smoke_pass", 'nodestack_smoke_check{check="engine version"}')] == [
        "0",
        "0",
    ]
    assert values['nodestack_smoke_check{check="tool call"}'] == "1"
    assert abs(float(values["nodestack_smoke_timestamp_seconds"]) - time.time()) < 60
    assert float(values["nodestack_smoke_seconds"]) > 0
    documented = {line.split()[2] for line in lines if line.startswith("# TYPE")}
    assert {name.partition("{")[0] for name in values} == documented


def test_the_key_is_in_nothing_that_is_written(smoke: Smoke, api: Api) -> None:
    api.chat = lambda body: (500, {"error": "no"})
    run = smoke.run()
    written = [path.read_text() for path in smoke.state.rglob("*") if path.is_file()]
    assert all(KEY not in text for text in [run.stdout, run.stderr, *written])


def test_every_metric_of_the_engine_that_a_role_relies_on_is_asked_for() -> None:
    listed = json.loads((PROGRAMS / "engine-metrics.json").read_text())
    assert listed["source"] and listed["date"]
    roles = [path for path in PROGRAMS.parents[1].iterdir() if path.name != "smoke"]
    texts = [path.read_bytes() for role in roles for path in role.rglob("*") if path.suffix in {".py", ".j2", ".json"}]
    used = {name.decode() for text in texts for name in re.findall(rb"vllm:[a-z_]+", text)}
    assert used, "at least measuring relies on some"
    assert {name for name in used if not {name, f"{name}_bucket"} & set(listed["metrics"])} == set()


def test_as_a_program_it_says_what_it_needs(smoke: Smoke) -> None:
    run = smoke.run_as_installed("--help")
    assert run.returncode == 0, run.stderr
    assert "--gateway-ca" in run.stdout
