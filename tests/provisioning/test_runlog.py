import stat
from pathlib import Path

import pytest
from pydantic import SecretStr

from nodestack.provisioning import authority, keys
from nodestack.provisioning.events import PlayEvent
from nodestack.provisioning.reach import Connection
from nodestack.provisioning.runlog import KEPT_RUNS, RunLog
from nodestack.provisioning.workspace import Secrets

CLIENT = keys.generate()
ISSUER = authority.issuer(CLIENT, "node", ["192.0.2.1"])
SECRETS = Secrets(
    api_keys={"default": SecretStr("sk-secret")},
    issuer=SecretStr(ISSUER),
    hub_token=SecretStr("sk-secret-and-more"),
)
CONNECTION = Connection(
    address="192.0.2.1", user="u", host_public_key=keys.public_key(CLIENT), private_key=SecretStr(CLIENT)
)


def test_the_log_is_its_owners_and_holds_what_was_printed(tmp_path: Path) -> None:
    with RunLog(tmp_path / "logs", "site", SECRETS, CONNECTION) as log:
        event = log.note(PlayEvent(kind="task", task="T", output="TASK [base : T] ***\r\n").model_dump_json())
        assert log.note("not an event").kind == "output"
    assert event.task == "T"
    assert log.path.read_text() == "TASK [base : T] ***\nnot an event\n"
    assert stat.S_IMODE(log.path.stat().st_mode) == 0o600


def test_a_secret_that_a_task_prints_is_struck_out_the_longer_first(tmp_path: Path) -> None:
    pem = CLIENT.splitlines()[2]
    with RunLog(tmp_path, "site", SECRETS, CONNECTION) as log:
        assert log.redact(f"a sk-secret b sk-secret-and-more c {pem}") == "a *** b *** c ***"
        log.note(f"key={pem} token=sk-secret-and-more")
    assert log.path.read_text() == "key=*** token=***\n"


def test_the_issuers_key_is_struck_out_and_its_certificates_are_not(tmp_path: Path) -> None:
    with RunLog(tmp_path, "site", SECRETS, CONNECTION) as log:
        told = log.redact(ISSUER)
    key, certificate, _ = ISSUER.split("-----END", 2)
    assert told.startswith("-----BEGIN PRIVATE KEY-----\n***\n")
    assert key.splitlines()[1] not in told
    assert certificate.splitlines()[3] in told


def test_the_last_runs_are_kept_and_no_more(tmp_path: Path) -> None:
    for number in range(KEPT_RUNS + 3):
        (tmp_path / f"20250101T0000{number:02}-1-site.log").write_text("old")
    (tmp_path / "20250101T000000-1-verify.log").write_text("another playbook's")
    with RunLog(tmp_path, "site", SECRETS, CONNECTION):
        left = sorted(path.name for path in tmp_path.glob("*-site.log"))
    assert len(left) == KEPT_RUNS
    assert left[0] == "20250101T000004-1-site.log"
    assert (tmp_path / "20250101T000000-1-verify.log").exists()


@pytest.mark.parametrize("short", ["", "no", "abc"])
def test_a_secret_too_short_to_be_one_does_not_blacken_the_log(tmp_path: Path, short: str) -> None:
    secrets = Secrets(api_keys={"default": SecretStr(short)}, issuer=SecretStr(short))
    with RunLog(tmp_path, "site", secrets, CONNECTION) as log:
        assert log.redact("nothing abc") == "nothing abc"
