"""A node from nothing, on each hardware: killed before each role, taken up again, and then left as it is."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import SecretStr

from nodestack.errors import ProvisioningError
from nodestack.provisioning import playbook, reach
from nodestack.provisioning.workspace import PLAYBOOKS
from tests.e2e import victims
from tests.playbooks.bench import API_KEY, HUB_TOKEN, Bench, opened

pytestmark = [pytest.mark.e2e, pytest.mark.node, pytest.mark.vllm, pytest.mark.qualify, pytest.mark.timeout(3600)]

(SITE,) = yaml.safe_load((PLAYBOOKS / "site.yml").read_text(encoding="utf-8"))
ROLES = [entry["role"] for entry in SITE["roles"]]
# Hardware that the driver packages replay, and the shape whose numbers the gates expect.
HARDWARE = {"8x H100": ("h100-sxm5-x8", "local"), "4x H200": ("h200-sxm5-x4", "local-4x-h200")}


@pytest.fixture(scope="module", params=HARDWARE)
def node(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    profile, shape = HARDWARE[request.param]
    directory = tmp_path_factory.mktemp("life")
    with opened(directory, f"life-{shape}", hardware_profile=profile, node={"shape": shape}) as bench:
        yield bench


def up(node: Bench, kill_before: str = "") -> playbook.Provisioned | None:
    """Configure the node as `make up` does; None where Ansible was killed as soon as it came to a role."""
    connection = reach.Connection(
        address=node.node.address,
        port=node.node.ssh_port,
        user=node.node.ssh_user,
        host_public_key=(node.directory / "known_hosts").read_text().splitlines()[0].partition(" ")[2],
        private_key=SecretStr((node.directory / "key").read_text()),
    )

    def look(line: str) -> None:
        if kill_before and line.partition(" · ")[0] == kill_before:
            kill_ansible()

    try:
        return playbook.apply(
            connection,
            node.document(),
            playbook.Secrets(api_key=SecretStr(API_KEY), hub_token=SecretStr(HUB_TOKEN)),
            log_directory=node.directory / "logs",
            progress=look,
            cancelled=threading.Event(),
        )
    except ProvisioningError as error:
        assert kill_before and "Ansible was ended from outside" in str(error), error
        return None


def kill_ansible() -> None:
    """Kill -9 what this process runs of Ansible, as a group."""
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            argv = (entry / "cmdline").read_bytes().decode(errors="replace").split("\0")
            parent = int((entry / "stat").read_text().rsplit(") ", 1)[1].split()[1])
            if parent == os.getpid() and victims.MARKS["ansible"](argv):
                os.killpg(int(entry.name), signal.SIGKILL)


@pytest.mark.parametrize("role", ROLES)
def test_a_run_that_is_killed_before_a_role_has_come_that_far(node: Bench, role: str) -> None:
    """One after the other on the same node: each run but the first takes up what a killed one left."""
    assert up(node, kill_before=role) is None


def test_the_next_run_ends_with_a_model_that_answers(node: Bench, record_property: Any) -> None:
    done = up(node)
    assert done is not None and done.status.results.smoke is not None
    assert done.status.service == "active" and done.status.results.smoke.passed
    record_property("site_seconds", round(sum(done.phases.values()), 1))


def test_the_run_after_that_changes_nothing(node: Bench, record_property: Any) -> None:
    done = up(node)
    assert done is not None
    record_property("second_run_changed", done.recap["changed"])
    assert done.recap["changed"] == 0


def test_in_check_mode_nothing_would_change_and_no_secret_is_shown(node: Bench, record_property: Any) -> None:
    checked = node.play(check=True)
    assert checked.exit_code == 0, checked.text
    record_property("check_changed", checked.changed)
    assert checked.changed == 0, checked.text
    other = node.play(check=True, vllm_served_model_name="another", vllm_api_key_file=str(other_key(node)))
    assert other.exit_code == 0 and other.changed > 0, other.text
    private = (node.directory / "key").read_text().splitlines()[2]
    for secret in (API_KEY, HUB_TOKEN, private, other_key(node).read_text()):
        assert secret not in checked.text + other.text
    assert up(node) is not None, "and it was only said"


def other_key(node: Bench) -> Path:
    path = node.directory / "other_key"
    path.write_text("sk-another-0123456789")
    return path
