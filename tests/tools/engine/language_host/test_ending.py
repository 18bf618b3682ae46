"""However it ends, a language host leaves no process behind."""

import os
import signal
import subprocess
from collections.abc import Iterator

import pytest

from tests.tools.engine.language_host.conftest import ROOT, Served, eventually, note_pid, running

LASTS = "import time; time.sleep(120)\n"
WITH_A_CHILD = "import subprocess, sys; subprocess.Popen([sys.executable, '-c', open('child.py').read()])\n"


@pytest.fixture
def family(served: Served) -> Iterator[list[int]]:
    """A program, a plugin and a plugin's child, all running, as their processes; the host last."""
    (served.project / "runner.py").write_text(note_pid("program") + LASTS)
    (served.project / "child.py").write_text(note_pid("child") + LASTS)
    (served.project / "__main__.py").write_text(WITH_A_CHILD + note_pid("plugin") + LASTS)
    # A call that nobody holds is cancelled.
    calls = (served.stub.Run.future(served.run_request()), served.plugin())
    yield [*(int(served.noted(name)) for name in ("program", "plugin", "child")), served.pid]
    for call in calls:
        call.cancel()


def test_an_engine_killed_outright_takes_host_program_plugin_and_its_children_along(
    served: Served, family: list[int]
) -> None:
    os.kill(served.engine.pid, signal.SIGKILL)
    assert eventually(lambda: not any(running(pid) for pid in family), within_s=5)


def test_a_host_killed_outright_takes_its_program_and_plugin_along(served: Served, family: list[int]) -> None:
    program, plugin, child, host = family
    os.kill(host, signal.SIGKILL)
    assert eventually(lambda: not running(program) and not running(plugin), within_s=2)
    # Nobody is left to end what a plugin started; a plugin has to bind its children to itself.
    os.kill(child, signal.SIGKILL)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_all_without_a_word(served: Served, family: list[int], number: signal.Signals) -> None:
    os.kill(served.pid, number)
    assert eventually(lambda: not any(running(pid) for pid in family), within_s=5)
    assert served.engine.wait(5) == 0
    assert served.errors.read_text() == ""


def test_a_plugin_that_ignores_the_request_to_end_is_killed_after_its_grace(served: Served) -> None:
    (served.project / "__main__.py").write_text(
        "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + note_pid("plugin") + LASTS
    )
    plugin = served.plugin()
    pid = int(served.noted("plugin"))
    plugin.cancel()
    assert eventually(lambda: not running(pid), within_s=10)


def test_a_cancelled_call_ends_its_plugin_and_what_that_started_and_nothing_else(
    served: Served, family: list[int]
) -> None:
    program, plugin, child, host = family
    (served.project / "plugin").unlink()
    second = served.plugin()
    other = int(served.noted("plugin"))
    second.cancel()
    assert eventually(lambda: not running(other), within_s=5)
    assert all(running(pid) for pid in (program, plugin, child, host))


def test_the_host_outlives_a_program_that_is_killed(served: Served) -> None:
    (served.project / "runner.py").write_text("import os; os.kill(os.getpid(), 9)")
    assert served.run().error == "Program exited with non-zero exit code: 137"
    assert running(served.pid)


def test_the_launcher_finds_the_checkouts_interpreter_through_a_link_in_a_path_with_spaces(served: Served) -> None:
    launcher = served.project / "bin" / "pulumi-language-python"
    launcher.parent.mkdir()
    tools = served.project / "tools" / "engine"
    tools.mkdir(parents=True)
    source = ROOT / "tools" / "engine" / "pulumi-language-python"
    (tools / source.name).write_bytes(source.read_bytes())
    (tools / source.name).chmod(0o755)
    python = served.project / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    python.chmod(0o755)
    launcher.symlink_to(tools / source.name)
    said = subprocess.run([launcher, "127.0.0.1:5"], capture_output=True, text=True, check=True).stdout.splitlines()
    assert said == [
        "-u",
        f"{tools}/run_language_host.py",
        "--engine-pid",
        str(os.getpid()),
        "--program-runner",
        f"{launcher}-exec",
        "127.0.0.1:5",
    ]
