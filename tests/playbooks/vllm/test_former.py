"""A configuration that fails is taken back for the one that served before; what is said names both."""

from pathlib import Path

from tests.playbooks.vllm.conftest import Machine


def kept(machine: Machine, tmp_path: Path) -> tuple[Path, ...]:
    """Have a machine serve, and keep its options, a link, a unit that is not there yet and a record."""
    link, unit, record = tmp_path / "current", tmp_path / "ready.service", tmp_path / "record.json"
    link.symlink_to("first")
    record.write_text("first")
    assert machine.start().returncode == 0
    paths = (machine.options, link, unit)
    arguments = [*(f"--file={path}" for path in paths), f"--along={record}"]
    assert machine.former("keep", *arguments) == {"changed": True, "message": ""}
    assert machine.former("keep", *arguments)["changed"] is False
    return link, unit, record


def changed(machine: Machine, link: Path, unit: Path, record: Path) -> None:
    machine.options.write_text("port: 1\npoison: 1\n")
    link.unlink()
    link.symlink_to("second")
    unit.write_text("new")
    record.write_text("second")


def test_what_failed_is_taken_back_and_the_former_serves_again(machine: Machine, tmp_path: Path) -> None:
    link, unit, record = kept(machine, tmp_path)
    machine.options.chmod(0o640)
    changed(machine, link, unit, record)
    failed = machine.start(timeout_s=1)
    assert failed.returncode == 1
    told = machine.former("return", f"--why={failed.stderr.strip()}")
    assert told["changed"] is True
    assert told["message"].startswith(failed.stderr.strip())
    assert "the former one, vLLM 0.23.0 with its options and weights, serves again after" in told["message"]
    assert machine.options.read_text() == "port: 1\n"
    assert machine.options.stat().st_mode & 0o777 == 0o644
    assert (str(link.readlink()), unit.exists(), record.read_text()) == ("first", False, "first")
    assert (machine.result()["pass"], machine.result()["failure"]) == (True, failed.stderr.strip())


def test_the_next_run_tries_what_failed_again(machine: Machine, tmp_path: Path) -> None:
    paths = kept(machine, tmp_path)
    changed(machine, *paths)
    machine.start(timeout_s=1)
    machine.former("return", "--why=it failed")
    starts = machine.calls("start")
    changed(machine, *paths)
    machine.poison = "nothing"
    assert '"changed": true' in machine.start().stdout
    assert machine.calls("start") == starts + 1
    assert machine.result()["failure"] == ""


def test_what_was_refused_before_the_switch_leaves_the_running_one_alone(machine: Machine, tmp_path: Path) -> None:
    link, *_ = kept(machine, tmp_path)
    link.unlink()
    link.symlink_to("second")
    starts = machine.calls("start")
    told = machine.former("return", "--why=the options were refused")
    assert "goes on serving" in told["message"]
    assert str(link.readlink()) == "first"
    assert machine.calls("start") == starts


def test_the_same_configuration_that_fails_later_is_not_returned_to(machine: Machine, tmp_path: Path) -> None:
    kept(machine, tmp_path)
    starts = machine.calls("start")
    assert machine.former("return", "--why=wrong replies") == {"changed": False, "message": "wrong replies"}
    assert machine.calls("start") == starts


def test_without_a_former_the_failure_is_all_there_is_to_say(machine: Machine) -> None:
    assert machine.former("return", "--why=no engine") == {"changed": False, "message": "no engine"}


def test_a_former_one_that_does_not_come_up_either_is_said_too(machine: Machine, tmp_path: Path) -> None:
    paths = kept(machine, tmp_path)
    changed(machine, *paths)
    machine.start(timeout_s=1)
    machine.set(gate="failed")
    machine.say("gate", "model.safetensors is missing\n")
    told = machine.former("return", "--why=it failed")
    assert told["message"].startswith("it failed; the former one does not serve either: ")
    assert "model.safetensors is missing" in told["message"]
    assert machine.result()["pass"] is False


def test_what_was_changed_behind_our_back_is_not_kept(machine: Machine, tmp_path: Path) -> None:
    kept(machine, tmp_path)
    machine.options.write_text("port: 1\nchanged: by hand\n")
    assert machine.former("keep", f"--file={machine.options}")["changed"] is False
