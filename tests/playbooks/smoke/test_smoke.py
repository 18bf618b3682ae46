"""What a model must reply to be fit for use, and what is said where it does not."""

from collections.abc import Callable

import pytest

from tests.playbooks.smoke.conftest import KEY, Api, Reply, Smoke, call, chat


def test_a_reasoning_model_that_chats_and_calls_a_tool_passes_and_its_words_are_kept(smoke: Smoke, api: Api) -> None:
    run = smoke.run()
    assert (run.returncode, run.stdout) == (0, '{"changed": true}\n')
    result = smoke.result()
    assert result["pass"] is True
    assert result["completion"] == "Hello there."
    assert [check["check"] for check in result["checks"]] == [
        "request without the key",
        "served model",
        "chat",
        "tool call",
    ]
    assert api.asked[1]["tool_choice"] == "required"
    assert not smoke.progress.exists()


def test_reasoning_alone_is_a_reply_of_a_reasoning_model_only(smoke: Smoke, api: Api) -> None:
    api.chat = lambda body: chat(reasoning="Let me think")
    assert smoke.run().returncode == 0
    assert smoke.result()["completion"] == "Let me think"
    run = smoke.run("chat")
    assert run.returncode == 1
    assert "chat: expected content, seen 12 characters of reasoning" in run.stderr


def test_a_base_model_only_has_to_continue_a_text(smoke: Smoke, api: Api) -> None:
    api.chat = lambda body: (400, {"error": "no chat template"})
    assert smoke.run("completion").returncode == 0
    assert smoke.result()["completion"] == "Paris."


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


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (lambda body: chat(content="get_weather Paris"), "seen no tool call, finish_reason stop"),
        (lambda body: call('{"city": "Paris"}'), "unit is missing"),
        (lambda body: call('{"city": "Atlantis", "unit": "celsius"}'), 'city "Atlantis" is none of Paris, Tokyo, Lima'),
        (lambda body: call('{"city": "Lima", "unit": "celsius", "x": 1}'), "x is not asked for"),
        (lambda body: call('{"city": 5, "unit": "celsius"}'), "city 5 is no string"),
        (lambda body: call('{"city": "Par'), "arguments that are not JSON"),
        (lambda body: call("{}", name="rm"), "a call of rm"),
    ],
)  # fmt: skip
def test_a_tool_call_that_does_not_fit_its_schema_fails_with_what_was_wrong(
    smoke: Smoke, api: Api, reply: Callable[[object], Reply], said: str
) -> None:
    api.tool = reply
    run = smoke.run()
    assert run.returncode == 1
    assert run.stderr.startswith("the model is not fit for use: tool call: expected a call of get_weather")
    assert said in run.stderr
    assert run.stderr.count("\n") == 1


def test_an_open_server_fails(smoke: Smoke, api: Api) -> None:
    api.locked = False
    run = smoke.run()
    assert "request without the key: expected HTTP 401, seen HTTP 200" in run.stderr
    assert api.asked == []


def test_a_field_of_an_older_engine_is_named(smoke: Smoke, api: Api) -> None:
    api.chat = lambda body: chat(reasoning_content="Let me think")
    assert "seen reasoning_content: the field of an engine older than 0.23" in smoke.run().stderr


def test_another_served_name_is_named(smoke: Smoke, api: Api) -> None:
    api.models = ["other", "third"]
    assert "served model: expected tiny, seen other, third" in smoke.run().stderr


def test_a_slow_a_broken_and_an_absent_server_are_told_apart(smoke: Smoke, api: Api) -> None:
    api.delay_s = 3
    assert "chat: expected content or reasoning, seen no reply within 1 s" in smoke.run(timeout_s=1).stderr
    api.delay_s = 0
    api.chat = lambda body: (500, b"out of memory\nat line 5")
    assert "seen HTTP 500: out of memory at line 5" in smoke.run().stderr
    smoke.url = "http://127.0.0.1:1"
    assert "seen no reply: [Errno 111] Connection refused" in smoke.run().stderr


def test_a_runner_that_cannot_cut_reasoning_short_is_asked_without_it(smoke: Smoke, api: Api) -> None:
    def refuse(body: dict[str, object]) -> Reply:
        if "thinking_token_budget" in body:
            return 400, {"error": {"message": "thinking_token_budget is not yet supported by the V2 model runner"}}
        return chat(content="Hello.")

    api.chat = refuse
    assert smoke.run().returncode == 0
    assert ["thinking_token_budget" in body for body in api.asked[:2]] == [True, False]


def test_the_key_is_in_nothing_that_is_written(smoke: Smoke, api: Api) -> None:
    api.chat = lambda body: (500, {"error": "no"})
    run = smoke.run()
    written = [path.read_text() for path in smoke.state.rglob("*") if path.is_file()]
    assert all(KEY not in text for text in [run.stdout, run.stderr, *written])
