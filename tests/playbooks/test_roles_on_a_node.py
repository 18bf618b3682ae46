"""Each role on a node that all were played on: it did its part, does nothing again, and says so in check mode."""

from collections.abc import Callable

import pytest
import yaml

from nodestack.provisioning.workspace import PLAYBOOKS
from tests.playbooks.site_bench import API_KEY, HUB_TOKEN, Bench

pytestmark = [pytest.mark.node, pytest.mark.vllm, pytest.mark.qualify, pytest.mark.timeout(1800)]

(SITE,) = yaml.safe_load((PLAYBOOKS / "site.yml").read_text(encoding="utf-8"))
ROLES = [entry["role"] for entry in SITE["roles"]]


def passed(name: str) -> Callable[[Bench], bool]:
    return lambda node: node.result(name)["pass"] is True


# What shows on the node that a role did its part; one that has no line here is still played.
DONE: dict[str, Callable[[Bench], bool]] = {
    "base": lambda node: (
        node.on("cat /etc/nodestack/identity") == node.node.identity
        and "enabled" not in node.on("systemctl is-enabled apt-daily.timer apt-daily-upgrade.timer")
    ),
    "nvidia_driver": passed("driver"),
    "fabric": passed("fabric"),
    "storage": lambda node: node.on("findmnt -no FSTYPE /srv/nodestack") in ("ext4", "xfs"),
    "weights": passed("weights"),
    "vllm": lambda node: node.on("systemctl is-active nodestack-vllm") == "active" and passed("engine")(node),
    "smoke": passed("smoke"),
}


@pytest.mark.parametrize("role", ROLES)
def test_a_role_has_done_its_part_and_changes_nothing_again(converged: Bench, role: str) -> None:
    if role in DONE:
        assert DONE[role](converged)
    again = converged.play(role)
    assert (again.exit_code, again.changed) == (0, 0), again.text


@pytest.mark.parametrize("role", ROLES)
def test_a_role_runs_in_check_mode_and_would_change_nothing(converged: Bench, role: str) -> None:
    checked = converged.play(role, check=True)
    assert (checked.exit_code, checked.changed) == (0, 0), checked.text
    assert not any(secret in checked.text for secret in (API_KEY, HUB_TOKEN))


def test_the_gates_alone_pass_and_change_nothing(converged: Bench) -> None:
    kept = converged.on("sha256sum /var/lib/nodestack/engine-former.json")
    verified = converged.play(playbook="verify.yml")
    assert verified.exit_code == 0, verified.text
    assert converged.on("sha256sum /var/lib/nodestack/engine-former.json") == kept
