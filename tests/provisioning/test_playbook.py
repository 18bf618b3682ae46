import os
import re
import signal
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from nodestack.errors import Interrupted, ProvisioningError, ReachError
from nodestack.provisioning import keys, processes, reach, workspace
from tests.provisioning.conftest import PLAYBOOKS, SECRETS, LiveNode

pytestmark = pytest.mark.node

LONG_S = 120
KILLED = """
import sys, threading
from pathlib import Path
from nodestack.provisioning import playbook
from nodestack.provisioning.reach import Connection
from nodestack.provisioning.workspace import Secrets
from tests.provisioning.documents import node_document
connection = Connection.model_validate_json(sys.stdin.readline())
playbook.apply(
    connection.model_copy(update={"private_key": __import__("pydantic").SecretStr(sys.stdin.read())}),
    node_document(smoke_timeout_s=120),
    Secrets(api_keys={"default": "sk-of-these-tests"}, issuer="an issuer"),
    log_directory=Path(sys.argv[1]),
    progress=lambda line: print(line, flush=True),
    cancelled=threading.Event(),
    playbook=Path(sys.argv[2]),
)
"""


def until(holds: "object", patience_s: float = 20) -> None:
    assert callable(holds)
    deadline = time.monotonic() + patience_s
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def runs_here(live: LiveNode) -> list[Path]:
    """Return the private directories of runs on this node; other nodes may be configured meanwhile."""
    found = workspace.base_directory().glob("nodestack-run-*/inventory.json")
    return [path.parent for path in found if f'"{live.connection.address}"' in path.read_text()]


def sleeping(live: LiveNode) -> bool:
    return live.run(f"pgrep -fc '^sleep {LONG_S}' || true") != "0"


def at_work(live: LiveNode) -> str:
    """Return what a run has on the node: the task that sleeps, and the interpreters that live as long as the run."""
    return live.run(f"pgrep -fa '^sleep {LONG_S}|[m]itogen' || true")


def test_a_second_run_changes_nothing_and_says_how_the_node_is(live_node: LiveNode) -> None:
    live_node.apply("short.yml", smoke_timeout_s=0)
    again = live_node.apply("short.yml", smoke_timeout_s=0)
    assert again.recap["changed"] == 0
    assert again.status.identity == "node-1#nonce"
    assert set(again.phases) == {"play"}


def test_progress_shows_tasks_and_the_bytes_of_a_long_one(live_node: LiveNode) -> None:
    heard: list[str] = []
    live_node.apply("short.yml", smoke_timeout_s=3, progress=heard.append)
    assert not at_work(live_node)
    assert "play · sleep for a while" in heard
    assert "weights: fetching, 3.1 of 4.0 MB (78 %)" in heard


def test_a_gates_own_words_are_the_error(live_node: LiveNode) -> None:
    with pytest.raises(ProvisioningError) as refusal:
        live_node.apply("short.yml", smoke_timeout_s=0, fabric_gpu_count=3)
    assert str(refusal.value) == "play: GPU2-GPU3: expected NV18, saw PIX"
    assert refusal.value.task == "Refuse three GPUs"


def test_a_tools_output_is_in_the_log_and_not_in_the_error(live_node: LiveNode) -> None:
    with pytest.raises(ProvisioningError) as refusal:
        live_node.apply("short.yml", smoke_timeout_s=0, fabric_gpu_count=4)
    told = re.fullmatch(
        r'play: the task "Run a tool" failed with exit status 3: read its output in (.*)', str(refusal.value)
    )
    assert told
    log = Path(told[1])
    assert "the output of a tool" in log.read_text()
    assert stat.S_IMODE(log.stat().st_mode) == 0o600


def test_no_secret_is_in_a_log_an_argument_or_a_file_but_its_own(live_node: LiveNode) -> None:
    seen: list[str] = []

    def look(line: str) -> None:
        for directory in runs_here(live_node):
            for path in directory.rglob("*"):
                if path.is_file() and path.name not in ("api_keys", "hub_token", "issuer", "ssh_key"):
                    seen.append(path.read_bytes().decode(errors="replace"))
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                seen.append(path.read_bytes().decode(errors="replace"))
            except OSError:
                continue
        seen.append(live_node.run("cat /proc/[0-9]*/cmdline | tr '\\0' ' '"))

    live_node.apply("short.yml", smoke_timeout_s=2, progress=look)
    seen += [path.read_text() for path in live_node.logs.iterdir()]
    whole = "\n".join(seen)
    assert "runner" in whole
    assert SECRETS.api_keys["default"].get_secret_value() not in whole
    pem = live_node.connection.private_key.get_secret_value().splitlines()
    assert not [line for line in pem[1:-1] if line in whole]
    assert "***" in whole


def test_a_cancelled_run_ends_within_ten_seconds_here_and_there(live_node: LiveNode) -> None:
    cancelled = threading.Event()

    def stop(line: str) -> None:
        if "sleep" in line:
            until(lambda: sleeping(live_node))
            cancelled.set()
            asked.append(time.monotonic())

    asked: list[float] = []
    with pytest.raises(Interrupted):
        live_node.apply("short.yml", smoke_timeout_s=LONG_S, cancelled=cancelled, progress=stop)
    assert time.monotonic() - asked[0] < 10
    assert not runs_here(live_node)
    until(lambda: not at_work(live_node))


def killed_in_mid_play(live: LiveNode) -> "subprocess.Popen[str]":
    """Start a run in a process of its own, and return it once its task sleeps on the node."""
    environment = {"PYTHONPATH": os.pathsep.join(sys.path), "PATH": os.environ["PATH"]}
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(live.logs), str(PLAYBOOKS / "short.yml")],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(live.connection.model_dump_json() + "\n")
    process.stdin.write(live.connection.private_key.get_secret_value())
    process.stdin.close()
    for line in process.stdout:
        if "sleep" in line:
            break
    until(lambda: sleeping(live))
    assert "mitogen" in at_work(live)
    return process


def test_a_killed_controller_leaves_nothing_here_and_nothing_there(live_node: LiveNode) -> None:
    process = killed_in_mid_play(live_node)
    (directory,) = runs_here(live_node)
    process.kill()
    process.wait()
    until(lambda: not directory.exists() and not processes.of_run(directory))
    until(lambda: not at_work(live_node))
    assert process.stdout is not None
    process.stdout.close()


def test_after_everything_was_killed_at_once_the_next_run_clears_what_is_left(live_node: LiveNode) -> None:
    process = killed_in_mid_play(live_node)
    (directory,) = runs_here(live_node)
    for pid in [process.pid, *processes.of_run(directory)]:
        os.kill(pid, signal.SIGKILL)
    process.wait()
    assert directory.exists()
    live_node.apply("short.yml", smoke_timeout_s=0)
    assert not runs_here(live_node)
    assert not processes.of_run(directory)
    assert not at_work(live_node)
    assert process.stdout is not None
    process.stdout.close()


def test_ansible_killed_alone_is_told_as_such(live_node: LiveNode) -> None:
    def kill(line: str) -> None:
        if "sleep" in line:
            for directory in runs_here(live_node):
                for pid in processes.of_run(directory):
                    os.kill(pid, signal.SIGKILL)

    with pytest.raises(ProvisioningError, match="ended from outside at play · sleep for a while: run again"):
        live_node.apply("short.yml", smoke_timeout_s=LONG_S, progress=kill)


def test_a_second_run_at_the_same_time_is_refused_by_the_name_of_the_first(live_node: LiveNode) -> None:
    def second(line: str) -> None:
        if "sleep" in line and not refused:
            refused.append("")
            with pytest.raises(ProvisioningError) as refusal:
                live_node.apply("short.yml", lock_wait_s=1)
            refused[0] = str(refusal.value)

    refused: list[str] = []
    live_node.apply("short.yml", smoke_timeout_s=4, progress=second)
    assert re.match(rf"another run is configuring \S+ \(pid {os.getpid()} on .*: wait until it ends", refused[0])


def test_tasks_that_a_controller_left_over_are_ended_before_a_play_begins(live_node: LiveNode) -> None:
    live_node.run(f"NODESTACK_RUN=gone setsid --fork sleep {LONG_S} < /dev/null > /dev/null 2>&1")
    assert sleeping(live_node)
    live_node.apply("short.yml", smoke_timeout_s=0)
    assert not sleeping(live_node)


def test_another_host_key_is_refused_before_anything_is_sent(live_node: LiveNode) -> None:
    other = keys.public_key(keys.generate())
    with pytest.raises(ReachError, match=r"answers with host key SHA256:.* expected SHA256:"):
        reach.run(live_node.connection.model_copy(update={"host_public_key": other}), "true", 5)


def test_ansible_too_refuses_another_host_key(live_node: LiveNode, monkeypatch: pytest.MonkeyPatch) -> None:
    fill = workspace.fill

    def with_another_key(directory: Path, **parts: object) -> None:
        other = keys.public_key(keys.generate())
        connection = live_node.connection.model_copy(update={"host_public_key": other})
        fill(directory, **{**parts, "connection": connection})  # type: ignore[arg-type]

    monkeypatch.setattr(workspace, "fill", with_another_key)
    with pytest.raises(ReachError, match="stopped answering at play · make room: check that the machine still runs"):
        live_node.apply("short.yml", smoke_timeout_s=0)


def test_a_node_that_goes_away_in_mid_play_is_told_with_what_to_do(live_node: LiveNode) -> None:
    def cut(line: str) -> None:
        if "sleep" in line:
            until(lambda: sleeping(live_node))
            end_ssh = "sleep 1; systemctl mask --runtime --now ssh.service; pkill -x sshd"
            live_node.run(f"sudo setsid --fork sh -c '{end_ssh}' < /dev/null > /dev/null 2>&1")

    with pytest.raises(ReachError, match="stopped answering at play · sleep for a while: check that the machine"):
        live_node.apply("short.yml", smoke_timeout_s=LONG_S, progress=cut)
