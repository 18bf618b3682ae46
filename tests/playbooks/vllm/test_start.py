"""When the service is restarted, and what is said where it does not come up."""

import time

from tests.playbooks.vllm.conftest import Machine

ANNOUNCED = """
(APIServer pid=4) pydantic_core._pydantic_core.ValidationError: 1 validation error for ModelConfig
(APIServer pid=4)   Value error, User-specified max_model_len (1000000) is greater than the derived max_model_len \
[type=value_error, input_value=ArgsKwargs((), {'model': '/srv'}), input_type=ArgsKwargs]
(APIServer pid=4)     For further information visit https://errors.pydantic.dev/2.12/v/value_error
"""
CRASH = """\
INFO 11-22 10:00:00 [model.py:611] Resolved architecture
(EngineCore pid=7) ERROR 11-22 10:00:01 [core.py:1] Traceback (most recent call last):
(EngineCore pid=7) ERROR 11-22 10:00:01 [core.py:1] ValueError: fp8_e5m2 kv-cache is not supported with fp8 checkpoints.
(APIServer pid=5) Traceback (most recent call last):
(APIServer pid=5)   File "core_client.py", line 9, in wait
(APIServer pid=5) RuntimeError: Engine core initialization failed. See root cause above. Failed core proc(s): {}
"""


def test_it_is_started_once_and_left_alone_while_nothing_changes(machine: Machine) -> None:
    first, second = machine.start(), machine.start()
    assert first.stdout.startswith('{"changed": true')
    assert second.stdout == '{"changed": false, "seconds": null}\n'
    assert machine.calls("start") == 1
    assert machine.result()["pass"] is True
    assert machine.result()["start_seconds"] is not None
    assert machine.result()["unit"] == "nodestack-vllm.service"
    assert not machine.progress.exists()


def test_changed_options_and_a_replaced_shard_restart_it(machine: Machine) -> None:
    machine.start()
    machine.options.write_text("port: 2\n")
    assert '"changed": true' in machine.start().stdout
    (machine.weights / "model.safetensors").write_bytes(b"other")
    assert '"changed": true' in machine.start().stdout
    assert machine.calls("start") == 3


def test_a_service_that_somebody_restarted_or_stopped_is_started_anew(machine: Machine) -> None:
    machine.start()
    machine.set()
    assert '"changed": true' in machine.start().stdout


def test_a_crash_is_told_at_once_by_its_cause_and_systemd_stops_trying(machine: Machine) -> None:
    machine.healthy = False
    machine.set(ends_after=3)
    machine.say("unit", CRASH)
    run = machine.start(timeout_s=60)
    assert run.returncode == 1
    assert run.stderr == (
        "the engine ended while starting: ValueError: fp8_e5m2 kv-cache is not supported with fp8 checkpoints.; "
        "see journalctl -u nodestack-vllm.service\n"
    )
    assert machine.calls("stop") == 2
    assert machine.result()["pass"] is False


def test_what_pydantic_finds_wrong_is_told_with_the_line_that_says_it(machine: Machine) -> None:
    machine.healthy = False
    machine.set(ends_after=3)
    machine.say("unit", ANNOUNCED)
    run = machine.start(timeout_s=60)
    assert run.stderr == (
        "the engine ended while starting: pydantic_core._pydantic_core.ValidationError: "
        "1 validation error for ModelConfig "
        "Value error, User-specified max_model_len (1000000) is greater than the derived max_model_len; "
        "see journalctl -u nodestack-vllm.service\n"
    )


def test_weights_that_are_not_as_recorded_are_named_by_the_gate(machine: Machine) -> None:
    machine.set(gate="failed")
    machine.say("gate", "/srv/nodestack/weights/x/model-00002.safetensors has another SHA-256: run `pulumi up`\n")
    run = machine.start()
    assert run.returncode == 1
    assert run.stderr.startswith(
        "nodestack-vllm.service was not started: /srv/nodestack/weights/x/model-00002.safetensors"
    )
    assert "journalctl -u nodestack-weights.service" in run.stderr


def test_an_engine_that_never_answers_ends_the_wait_with_its_last_words_and_is_restarted_next_time(
    machine: Machine,
) -> None:
    machine.healthy = False
    machine.say("unit", "(Worker pid=9) INFO 11-22 10:00:01 [loader.py:1] Loading weights, shard 3 of 81\n")
    run = machine.start(timeout_s=2)
    assert run.returncode == 1
    assert "within 2 s, last it said: Loading weights, shard 3 of 81" in run.stderr
    machine.start(timeout_s=2)
    assert machine.calls("start") == 2


def test_a_start_that_an_earlier_run_was_cut_off_from_goes_on(machine: Machine) -> None:
    machine.start()
    (machine.state / "results" / "engine.json").unlink()
    run = machine.start()
    assert '"changed": false' in run.stdout
    assert machine.calls("start") == 1
    assert machine.result()["pass"] is True


def test_a_first_start_is_begun_and_its_whole_time_told_once_it_was_waited_for(machine: Machine) -> None:
    machine.healthy = False
    begun = machine.start("--begin")
    assert begun.stdout == '{"changed": true, "seconds": null}\n'
    assert not (machine.state / "results" / "engine.json").exists()
    time.sleep(1)
    machine.healthy = True
    waited = machine.start()
    assert '"changed": true' in waited.stdout
    assert machine.calls("start") == 1
    assert 1 <= machine.result()["start_seconds"] < 10
    assert machine.start("--begin").stdout == machine.start().stdout == '{"changed": false, "seconds": null}\n'


def test_one_that_answered_before_it_was_waited_for_took_no_longer_than_that(machine: Machine) -> None:
    machine.start("--begin")
    machine.ready(time.monotonic())
    time.sleep(2)
    machine.start()
    assert machine.result()["start_seconds"] < 2


def test_a_first_start_that_fails_is_told_when_it_is_waited_for(machine: Machine) -> None:
    machine.healthy = False
    assert machine.start("--begin").returncode == 0
    machine.set()
    machine.say("unit", CRASH)
    run = machine.start(timeout_s=2)
    assert run.returncode == 1
    assert machine.result()["pass"] is False


def test_one_that_cannot_even_be_begun_is_told_at_once(machine: Machine) -> None:
    machine.set(gate="failed")
    machine.say("gate", "/srv/x has another SHA-256: run `pulumi up`\n")
    assert "/srv/x has another SHA-256" in machine.start("--begin").stderr
    assert machine.result()["pass"] is False


def test_where_something_served_before_it_is_waited_for_in_any_case(machine: Machine) -> None:
    machine.start()
    machine.former("keep", f"--file={machine.options}")
    machine.options.write_text("port: 2\n")
    assert '"seconds": null' not in machine.start("--begin").stdout
    assert machine.calls("start") == 2
