"""The engine gets from our host what it gets from the official one."""

import json
import os
import signal
import sys

import grpc
import pytest
from google.protobuf.empty_pb2 import Empty
from pulumi.runtime.proto import language_pb2

from tests.tools.engine.language_host.conftest import Served, note_pid

NOTE_ALL = """
import json, os, sys
said = {"argv": sys.argv[1:], "cwd": os.getcwd(), "config": os.environ["PULUMI_CONFIG"],
        "secret": os.environ["PULUMI_CONFIG_SECRET_KEYS"], "venv": os.environ["VIRTUAL_ENV"]}
open("seen", "w").write(json.dumps(said) + "\\n")
"""


def test_a_program_learns_where_to_report_and_its_configuration(served: Served) -> None:
    (served.project / "runner.py").write_text(NOTE_ALL)
    served.stub.Handshake(language_pb2.LanguageHandshakeRequest(engine_address="127.0.0.1:7"))
    answer = served.run()
    seen = json.loads(served.noted("seen"))
    options = dict(zip(seen["argv"][0:-1:2], seen["argv"][1:-1:2], strict=True))
    assert (answer.error, answer.bail) == ("", False)
    assert options == {
        "--monitor": "127.0.0.1:2",
        "--engine": "127.0.0.1:7",
        "--project": "p",
        "--stack": "s",
        "--pwd": str(served.project),
        "--organization": "o",
        "--root_directory": str(served.project),
        "--dry_run": "true",
        "--parallel": "4",
    }
    assert seen["argv"][-1] == "."
    assert seen["cwd"] == str(served.project)
    assert json.loads(seen["config"]) == {"p:key": "value"}
    assert json.loads(seen["secret"]) == ["p:key"]
    assert seen["venv"] == sys.prefix


def test_without_a_handshake_the_engines_address_is_the_last_argument(served: Served) -> None:
    (served.project / "runner.py").write_text(NOTE_ALL)
    served.run()
    assert "127.0.0.1:9" in json.loads(served.noted("seen"))["argv"]


@pytest.mark.parametrize(
    ("code", "error", "bail"), [(0, "", False), (32, "", True), (3, "Program exited with non-zero exit code: 3", False)]
)
def test_how_a_program_ended_is_told_and_what_it_told_itself_is_not_repeated(
    served: Served, code: int, error: str, bail: bool
) -> None:
    (served.project / "runner.py").write_text(f"raise SystemExit({code})")
    answer = served.run()
    assert (answer.error, answer.bail) == (error, bail)


def test_a_plugins_output_comes_line_by_line_while_it_runs_then_its_exit_code(served: Served) -> None:
    (served.project / "__main__.py").write_text(
        "import os, sys, time\n"
        "print(sys.argv[1], os.environ['FROM_ENGINE'], flush=True)\n"
        "while not os.path.exists('go on'): time.sleep(0.02)\n"
        "print('bad', file=sys.stderr)\n"
        "sys.exit(5)\n"
    )
    answers = served.plugin()
    assert next(answers).stdout == b"127.0.0.1:1 yes\n"
    (served.project / "go on").touch()
    assert [(answer.stderr, answer.exitcode) for answer in answers] == [(b"bad\n", 0), (b"", 5)]


@pytest.mark.timeout(40)
def test_a_plugins_end_is_told_even_while_something_it_started_holds_its_output(served: Served) -> None:
    (served.project / "__main__.py").write_text(
        "import subprocess, sys\n"
        "child = subprocess.Popen(['sleep', '60'], start_new_session=True)\n"
        "print(child.pid, flush=True)\n"
        "sys.exit(4)\n"
    )
    first, last = served.plugin()
    os.kill(int(first.stdout), signal.SIGKILL)
    assert last.exitcode == 4


def test_without_an_environment_the_user_is_told_what_to_run(served: Served) -> None:
    info = served.info(virtualenv="nowhere")
    with pytest.raises(grpc.RpcError) as refused:
        served.stub.Run(language_pb2.RunRequest(pwd=str(served.project), info=info))
    assert refused.value.code() is grpc.StatusCode.FAILED_PRECONDITION
    assert refused.value.details() == (
        f"there is no interpreter at {served.project}/nowhere/bin/python: run `make setup`"
    )


def test_a_graceful_stop_ends_the_program_and_leaves_plugins_to_report_what_they_made(served: Served) -> None:
    (served.project / "runner.py").write_text(note_pid("program") + "import time; time.sleep(60)")
    (served.project / "__main__.py").write_text(
        "import time, os\nprint('ready', flush=True)\nwhile not os.path.exists('go on'): time.sleep(0.02)\n"
    )
    plugin = served.plugin()
    assert next(plugin).stdout == b"ready\n"
    program = served.stub.Run.future(served.run_request())
    served.noted("program")
    served.stub.Cancel(Empty())
    assert program.result().bail
    (served.project / "go on").touch()
    assert [answer.exitcode for answer in plugin] == [0]


def test_the_engine_learns_of_no_packages_to_fetch_and_of_those_installed(served: Served) -> None:
    required = served.stub.GetRequiredPackages(language_pb2.GetRequiredPackagesRequest(info=served.info()))
    assert list(required.packages) == []
    installed = served.stub.GetProgramDependencies(
        language_pb2.GetProgramDependenciesRequest(info=served.info(), transitiveDependencies=True)
    )
    assert "pulumi" in {dependency.name for dependency in installed.dependencies}
    about = served.stub.About(language_pb2.AboutRequest(info=served.info()))
    assert about.version == ".".join(map(str, sys.version_info[:3]))
