import fcntl
import json
import os
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest
from pydantic import SecretStr

from nodestack.provisioning import keys, processes, workspace
from nodestack.provisioning.document import document_sha256
from nodestack.provisioning.reach import Connection
from nodestack.provisioning.workspace import Secrets
from tests.provisioning.documents import node_document

SECRETS = Secrets(
    api_keys={"alice": SecretStr("sk-secret-of-tests")},
    issuer=SecretStr("issuer of tests"),
    hub_token=SecretStr("hf_secret_of_tests"),
    alert_secret=SecretStr("alert-secret-of-tests"),
)


@pytest.fixture(autouse=True)
def base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keep these tests away from the directories of real runs."""
    monkeypatch.setattr(workspace, "base_directory", lambda: tmp_path)
    return tmp_path


@pytest.fixture
def connection() -> Connection:
    client = keys.generate()
    host = keys.host_key(client, "n")[1]
    return Connection(
        address="127.77.0.9", port=2222, user="ubuntu", host_public_key=host, private_key=SecretStr(client)
    )


def sleeper(directory: Path) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(["sleep", "60"], env={processes.MARK: str(directory)}, start_new_session=True)


def test_the_child_gets_nothing_of_our_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in (
        "PULUMI_CONFIG",
        "PULUMI_CONFIG_PASSPHRASE",
        "AWS_SECRET_ACCESS_KEY",
        "SSH_AUTH_SOCK",
        "ANSIBLE_DEBUG",
    ):
        monkeypatch.setenv(name, "leaked")
    child = workspace.environment(tmp_path)
    assert "leaked" not in child.values()
    assert child["HOME"] == child["TMPDIR"] == str(tmp_path)
    assert (child["GRPC_VERBOSITY"], child["LANG"]) == ("ERROR", "C.UTF-8")
    assert child["ANSIBLE_HOST_KEY_CHECKING"] == "True"
    assert Path(child["ANSIBLE_CONFIG"]).is_file()
    assert Path(child["ANSIBLE_STRATEGY_PLUGINS"], f"{child['ANSIBLE_STRATEGY']}.py").is_file()


def test_secrets_are_files_of_their_owner_and_in_no_variable(connection: Connection) -> None:
    with workspace.workspace() as directory:
        document = node_document()
        workspace.fill(directory, connection=connection, document=document, secrets=SECRETS, run="r", applied=None)
        assert stat.S_IMODE(directory.stat().st_mode) == 0o700
        variables = json.loads((directory / "env" / "extravars").read_text())
        for variable, secret in (
            ("gateway_keys_file", '{"alice": "sk-secret-of-tests"}'),
            ("gateway_issuer_file", "issuer of tests"),
            ("weights_token_file", "hf_secret_of_tests"),
            ("monitoring_receiver_secret_file", "alert-secret-of-tests"),
        ):
            path = Path(variables[variable])
            assert path.read_text() == f"{secret}\n"
            assert stat.S_IMODE(path.stat().st_mode) == 0o600
        for named in ("env/extravars", "inventory.json"):
            text = (directory / named).read_text()
            assert not [
                secret
                for secret in ("sk-secret-of-tests", "hf_secret_of_tests", "alert-secret-of-tests")
                if secret in text
            ]
            assert "PRIVATE KEY" not in text
        assert variables["nodestack_document_sha256"] == document_sha256(document)
        known = f"[127.77.0.9]:2222 {connection.host_public_key}\n"
        assert (directory / "known_hosts").read_text() == known


def test_without_a_token_its_file_is_named_by_nothing(connection: Connection) -> None:
    with workspace.workspace() as directory:
        workspace.fill(
            directory,
            connection=connection,
            document=node_document(),
            secrets=SECRETS.model_copy(update={"hub_token": None, "alert_secret": None}),
            run="r",
            applied=None,
        )
        variables = json.loads((directory / "env" / "extravars").read_text())
        assert (variables["weights_token_file"], variables["monitoring_receiver_secret_file"]) == ("", "")


@pytest.mark.parametrize(
    ("other", "is_applied"), [({}, True), ({"base_identity": "another"}, False), ({"vllm_port": 1}, False)]
)
def test_only_the_same_document_on_the_same_machine_counts_as_applied(
    connection: Connection, other: dict[str, object], is_applied: bool
) -> None:
    before = node_document()
    applied = {"identity": before.base_identity, "document_sha256": document_sha256(before)}
    with workspace.workspace() as directory:
        workspace.fill(
            directory,
            connection=connection,
            document=before.model_copy(update=other),
            secrets=SECRETS,
            run="r",
            applied=applied,
        )
        assert json.loads((directory / "env" / "extravars").read_text())["nodestack_is_applied"] is is_applied


def test_at_the_end_nothing_is_left_of_a_run_whatever_session_it_is_in() -> None:
    with workspace.workspace() as directory:
        left = sleeper(directory)
        assert processes.of_run(directory) == [left.pid]
    assert left.wait(timeout=5) != 0
    assert not directory.exists()


def test_what_a_killed_owner_left_is_cleared_and_what_a_living_one_has_is_not(base: Path) -> None:
    code = (
        "import sys, time\nfrom pathlib import Path\nfrom nodestack.provisioning import workspace\n"
        "workspace.base_directory = lambda: Path(sys.argv[1])\n"
        "with workspace.workspace() as d:\n    print(d, flush=True); time.sleep(60)"
    )
    environment = {"PYTHONPATH": os.pathsep.join(sys.path), "PATH": os.environ["PATH"]}
    owner = subprocess.Popen([sys.executable, "-c", code, str(base)], env=environment, stdout=subprocess.PIPE)
    assert owner.stdout is not None
    directory = Path(owner.stdout.readline().decode().strip())
    owner.stdout.close()
    left = sleeper(directory)
    workspace.clear_abandoned()
    assert directory.parent == base
    assert directory.exists()
    assert left.poll() is None

    owner.kill()
    owner.wait()
    workspace.clear_abandoned()
    assert not directory.exists()
    assert left.wait(timeout=5) != 0


def test_a_process_that_is_deaf_to_the_polite_signal_is_killed(tmp_path: Path) -> None:
    deaf = subprocess.Popen(
        ["sh", "-c", "trap '' TERM; echo ready; while :; do sleep 1; done"],
        env={processes.MARK: str(tmp_path), "PATH": os.environ["PATH"]},
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    assert deaf.stdout is not None
    deaf.stdout.readline()
    begun = time.monotonic()
    processes.end(tmp_path, grace_s=0.3)
    assert deaf.wait(timeout=5) == -9
    assert time.monotonic() - begun < 5
    deaf.stdout.close()


def test_the_directory_is_locked_before_anybody_can_take_it_for_abandoned() -> None:
    with workspace.workspace() as directory, open(directory / "owner") as other, pytest.raises(BlockingIOError):
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
