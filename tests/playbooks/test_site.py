import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from nodestack.provisioning import workspace

PLAYBOOKS = workspace.PLAYBOOKS
ORDER = ["base", "nvidia_driver", "fabric", "storage", "weights", "vllm", "gateway", "smoke", "monitoring"]


def play(name: str) -> dict[str, Any]:
    (only,) = yaml.safe_load((PLAYBOOKS / name).read_text())
    assert isinstance(only, dict)
    return only


def test_roles_come_in_the_order_in_which_each_may_rely_on_the_former() -> None:
    assert [entry["role"] for entry in play("site.yml")["roles"]] == ORDER


def test_every_role_is_in_the_play_and_selectable_by_its_name() -> None:
    by_itself = ["bench"]
    assert sorted(path.name for path in (PLAYBOOKS / "roles").iterdir()) == sorted(ORDER + by_itself)
    assert all(entry["tags"] == [entry["role"]] for entry in play("site.yml")["roles"])


def test_verifying_runs_the_gates_and_nothing_that_installs_drivers_weights_or_engine() -> None:
    assert [entry["role"] for entry in play("verify.yml")["roles"]] == ["fabric", "smoke"]


def test_measuring_installs_nothing_that_serves() -> None:
    assert [entry["role"] for entry in play("bench.yml")["roles"]] == ["bench"]


@pytest.mark.parametrize("name", ["site.yml", "verify.yml", "bench.yml"])
def test_tasks_are_marked_with_their_run_so_that_leftovers_can_be_told(name: str) -> None:
    assert "nodestack_run" in play(name)["environment"]["NODESTACK_RUN"]


@pytest.mark.parametrize("name", ["site.yml", "verify.yml", "bench.yml"])
def test_ansible_accepts_the_playbook(name: str, tmp_path: Path) -> None:
    checked = subprocess.run(
        [Path(sys.executable).with_name("ansible-playbook"), "--syntax-check", "-i", "node,", PLAYBOOKS / name],
        env=workspace.environment(tmp_path),
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_what_was_applied_is_forgotten_first_and_recorded_last() -> None:
    site = play("site.yml")
    (first,), (last,) = site["pre_tasks"], site["post_tasks"]
    assert first["ansible.builtin.file"] == {"path": "/var/lib/nodestack/applied.json", "state": "absent"}
    assert last["ansible.builtin.copy"]["dest"] == "/var/lib/nodestack/applied.json"
    assert first["when"] == last["when"]
