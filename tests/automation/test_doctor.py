"""`nodestack doctor`: each thing that is wrong is found, says what to do, and has it end with 1; it changes nothing."""

import json
import os
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from nodestack.automation import doctor
from nodestack.automation.doctor import examine
from nodestack.automation.engine import EngineRecord
from nodestack.automation.journal import journal
from nodestack.clouds.simulated.faults import Fault, Kind
from nodestack.lifecycle.journal import Entry
from tests.commands.clouds import Account, spheron_account

NOW = datetime.now(UTC)


@pytest.fixture
def account(tmp_path: Path) -> Iterator[Account]:
    with spheron_account(tmp_path) as opened:
        well(opened)
        yield opened


def well(account: Account) -> None:
    """Have a checkout that nothing is wrong with."""
    root = account.checkout.root
    for program in ("pulumi", ".venv/bin/ansible-playbook", ".venv/bin/nodestack"):
        (root / program).parent.mkdir(parents=True, exist_ok=True)
        (root / program).touch()
    record = EngineRecord(way="path", pulumi=root / "pulumi", directory=root, reason="for tests", key="k")
    account.checkout.state.mkdir(parents=True, exist_ok=True)
    (account.checkout.state / "engine.json").write_text(record.model_dump_json())
    account.stack("prod")
    node, volume = account.node("nodestack-prod-node"), account.volume("nodestack-prod-weights")
    account.record("prod", "Node", node.machine_id, node.order.name)
    account.record("prod", "Volume", volume.disk_id, volume.name)


def findings(account: Account, code: int, *arguments: str, **environment: str) -> list[dict[str, Any]]:
    found = account.run("doctor", "--json", *arguments, **environment)
    assert found.returncode == code, found.stdout + found.stderr
    return list(json.loads(found.stdout))


def only(account: Account, check: str, **environment: str) -> dict[str, Any]:
    """Return the one thing that is wrong."""
    wrong = [finding for finding in findings(account, 1, **environment) if finding["do"]]
    assert [finding["check"] for finding in wrong] == [check], wrong
    return wrong[0]


def test_where_all_is_well_it_says_so_and_what_it_looked_at(account: Account) -> None:
    before = len(account.world.ledger.events)
    looked = {finding["check"] for finding in findings(account, 0)}
    assert looked == {"tools", "room", "state", "locks", "credentials", "clock", "account"}
    assert account.run("doctor").stdout.splitlines()[-1].endswith("things looked at, nothing wrong")
    assert len(account.world.ledger.events) == before


def test_a_missing_tool(account: Account) -> None:
    (account.checkout.root / ".venv" / "bin" / "ansible-playbook").unlink()
    assert "make setup" in only(account, "tools")["do"]


def test_a_missing_engine(account: Account) -> None:
    (account.checkout.state / "engine.json").unlink()
    assert "run `make setup`" in only(account, "tools")["do"]


def test_a_missing_key(account: Account) -> None:
    assert only(account, "credentials", SPHERON_API_KEY="")["do"] == "export SPHERON_API_KEY=..."


def test_a_key_that_is_refused(account: Account) -> None:
    finding = only(account, "account", SPHERON_API_KEY="wrong")
    assert "it cannot be looked at" in finding["seen"]
    assert "wrong" not in finding["do"].split()


def test_a_cloud_that_does_not_answer(account: Account) -> None:
    account.faults.add(Fault(kind=Kind.CUT_BEFORE, path="/.*", times=99))
    assert "Spheron did not answer" in only(account, "account")["do"]


def test_a_passphrase_that_is_gone_or_that_others_read(account: Account) -> None:
    file = account.checkout.stack_file("prod")
    file.write_text(f"encryptionsalt: v1:abc\n{file.read_text()}")
    assert "without it no secret can be read" in only(account, "state")["do"]
    account.checkout.passphrase.write_text("p")
    account.checkout.passphrase.chmod(0o644)
    assert only(account, "state")["do"] == f"chmod 600 {account.checkout.passphrase}"


def test_a_state_that_cannot_be_read(account: Account) -> None:
    account.checkout.checkpoint("prod").write_text("{")
    assert "state" in {finding["check"] for finding in findings(account, 1) if finding["do"]}


def test_a_lock_whose_process_is_gone_and_one_of_another_host(account: Account) -> None:
    child = subprocess.Popen(["true"])
    child.wait()
    lock = account.lock("prod", child.pid)
    assert "the next run removes it" in only(account, "locks")["do"]
    lock.write_text(lock.read_text().replace(os.uname().nodename, "elsewhere"))
    finding = only(account, "locks")
    assert "on elsewhere" in finding["seen"] and "pulumi cancel --stack prod" in finding["do"]
    assert lock.exists(), "it only looks"


def test_what_was_begun_and_a_lease_that_nobody_ends(account: Account) -> None:
    book = journal(account.checkout, "prod")
    book.write(Entry(at=NOW, what="parking", because="its lease ended"))
    assert only(account, "journal")["do"] == "go on with it: nodestack watch --once --stack prod"
    book.write(Entry(at=NOW, what="wanted"))
    book.write(Entry(at=NOW, what="lease", until=NOW + timedelta(hours=1), hours=1))
    assert "no watch runs here" in only(account, "journal")["seen"]


def test_what_no_state_knows_and_what_the_account_lost(account: Account) -> None:
    stray = account.node("nodestack-old-node")
    assert f"nodestack sweep --delete {stray.machine_id}" in only(account, "leftovers")["do"]
    account.world.delete(stray.machine_id)
    account.world.preempt(account.states["prod"][0]["id"])
    finding = only(account, "leftovers")
    assert "preempted" in finding["seen"] and "nodestack up --stack prod" in finding["do"]


def test_a_clock_that_is_wrong(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    class Late(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> datetime:  # type: ignore[override]
            return datetime.now(tz) - timedelta(minutes=5)

    monkeypatch.setattr(doctor, "datetime", Late)
    for name, text in account.keys.items():
        monkeypatch.setenv(name, text)
    clock = [finding for finding in examine(account.checkout, ["prod"]) if finding.check == "clock"]
    assert len(clock) == 1 and "timedatectl" in clock[0].do


def test_a_stack_that_is_not_there_is_bad_input(account: Account) -> None:
    assert "this checkout has prod" in account.run("doctor", "--stack", "prd").stderr
