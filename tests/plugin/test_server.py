"""The plugin as a process: starts quickly, survives Ctrl-C, ends with whoever started it."""

import os
import signal
import subprocess
import sys

from google.protobuf.empty_pb2 import Empty

from tests.plugin.engine import ROOT, plugin_process, process_ends

PLUGIN = ROOT / "infra" / "provider"


def test_ctrl_c_is_the_engines_to_answer() -> None:
    with plugin_process("127.0.0.1:1") as (engine, process_id):
        os.kill(process_id, signal.SIGINT)
        assert engine.stub.GetPluginInfo(Empty()).version


def test_it_ends_when_told_to() -> None:
    with plugin_process("127.0.0.1:1") as (_, process_id):
        os.kill(process_id, signal.SIGTERM)
        assert process_ends(process_id, within_s=5)


def test_it_ends_when_the_process_that_started_it_was_killed() -> None:
    host = (
        "import subprocess, sys, time\n"
        f"plugin = subprocess.Popen([sys.executable, '-u', {str(PLUGIN)!r}, '127.0.0.1:1'], stdout=subprocess.PIPE)\n"
        "plugin.stdout.readline()\n"
        "print(plugin.pid, flush=True)\n"
        "time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", host], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        process_id = int(parent.stdout.readline())
        parent.kill()
    assert process_ends(process_id, within_s=5)


def test_what_costs_time_is_imported_only_when_it_is_needed() -> None:
    heavy = "paramiko", "cryptography", "nodestack.clouds.local", "ansible_runner", "numpy"
    code = f"import sys, nodestack.plugin.server; print([name for name in {heavy} if name in sys.modules])"
    environment = os.environ | {"PYTHONPATH": str(ROOT / "infra")}
    loaded = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert loaded.stdout.strip() == "[]"
