"""The driver and fabric roles on a real node: an image's old driver, its upgrade, and hardware that is not fit."""

import json
import re
from dataclasses import dataclass

import pytest

from nodestack.provisioning.report import DriverResult
from tests.playbooks.reached import Play
from tests.playbooks.roles_bench import FOUR_H200, Bench, fingerprint

pytestmark = pytest.mark.node

# As images name NVIDIA's repository: the same as ours, trusted by another file.
DOUBLE = "deb [signed-by=/usr/share/keyrings/cuda-archive-keyring.gpg] http://127.0.0.1:8091/apt/ ./"
SERVING = """\
[Unit]
Requires=nodestack-fabric.service
After=nodestack-fabric.service
[Service]
ExecStart=/usr/bin/sleep infinity
[Install]
WantedBy=multi-user.target
"""


@dataclass(frozen=True)
class Upgrade:
    """What was seen around the upgrade of an image's driver."""

    bench: Bench
    older: str
    older_boot: str
    refused: Play
    play: Play
    newer: str
    newer_boot: str
    again: Play


def driver(bench: Bench) -> str:
    return bench.on("nvidia-smi --query-gpu=driver_version --format=csv,noheader | sort -u")


def boot(bench: Bench) -> str:
    return bench.on(
        "systemctl show -P ActiveEnterTimestampMonotonic basic.target; cat /run/nvidia-replay/loaded-version"
    )


@pytest.fixture(scope="module")
def upgrade(bench: Bench) -> Upgrade:
    """Bring the node to what an image made for CUDA 12.4 has, then to what the engine needs, then once more."""
    before = bench.play("base", "nvidia_driver", nvidia_driver_version="550.54.15", nvidia_driver_minimum_version="550")
    assert before.exit_code == 0, before.text
    older, older_boot = driver(bench), boot(bench)
    bench.on(f"echo '{DOUBLE}' | sudo tee /etc/apt/sources.list.d/cuda-image.list")
    refused = bench.play("nvidia_driver", nvidia_driver_upgrade=False)
    roles = ("base", "nvidia_driver", "fabric")
    play = bench.play(*roles)
    newer, newer_boot = driver(bench), boot(bench)
    return Upgrade(bench, older, older_boot, refused, play, newer, newer_boot, bench.play(*roles))


def version(bench: Bench) -> tuple[str, str]:
    """Return the versions that nvidia-smi and the module say."""
    return driver(bench), bench.on(r"sed -nE 's/^NVRM version.*x86_64  ([0-9.]+) .*/\1/p' /proc/driver/nvidia/version")


def test_a_first_driver_is_loaded_without_a_reboot(upgrade: Upgrade) -> None:
    assert upgrade.older == "550.54.15"


def test_an_image_whose_driver_may_not_be_replaced_is_refused_with_what_it_has_and_what_is_needed(
    upgrade: Upgrade,
) -> None:
    assert upgrade.refused.exit_code != 0
    said = " ".join(upgrade.refused.text.split())
    assert re.search(
        r"The image \(Debian 12[0-9.]*\) has driver 550\.54\.15 and fabric manager 550\.54\.15, needed is 580", said
    )
    assert "node.driver_upgrade is false: choose another image, or let 580.95.05 be installed." in said


def test_an_older_driver_is_replaced_by_way_of_a_reboot(upgrade: Upgrade) -> None:
    assert upgrade.play.exit_code == 0, upgrade.play.text
    assert (upgrade.newer, upgrade.newer_boot == upgrade.older_boot) == ("580.95.05", False)


def test_an_images_own_source_of_the_same_repository_is_put_aside_and_apt_still_works(upgrade: Upgrade) -> None:
    named = upgrade.bench.on("ls /etc/apt/sources.list.d")
    assert "cuda-image.list.put-aside-by-nodestack" in named.split()
    assert upgrade.bench.on("apt-get check >/dev/null 2>&1; apt-cache policy nvidia-driver-cuda").startswith(
        "nvidia-driver-cuda:"
    )


def test_a_good_image_gets_the_repository_where_the_engine_needs_the_toolkit_from_it(upgrade: Upgrade) -> None:
    bench = upgrade.bench
    bench.on("sudo rm /etc/apt/sources.list.d/nvidia-driver.sources")
    play = bench.play("nvidia_driver", nvidia_driver_cuda_toolkit=True)
    assert play.exit_code == 0, play.text
    assert bench.on("ls /etc/apt/sources.list.d/nvidia-driver.sources")
    again = bench.play("nvidia_driver", nvidia_driver_cuda_toolkit=True)
    assert (again.exit_code, again.changed) == (0, 0), again.text


def test_a_second_run_changes_nothing(upgrade: Upgrade) -> None:
    assert (upgrade.again.exit_code, upgrade.again.changed) == (0, 0), upgrade.again.text


def test_check_mode_on_a_node_that_is_as_it_should_be_changes_nothing(upgrade: Upgrade) -> None:
    checked = upgrade.bench.play("base", "nvidia_driver", "fabric", check=True)
    assert (checked.exit_code, checked.changed) == (0, 0), checked.text


def test_tools_and_module_are_of_one_version(upgrade: Upgrade) -> None:
    assert version(upgrade.bench) == ("580.95.05", "580.95.05")


def test_unattended_upgrades_leave_the_driver_alone_and_apt_wants_this_version(upgrade: Upgrade) -> None:
    listed = upgrade.bench.on("apt-config dump Unattended-Upgrade::Package-Blacklist")
    assert {'"nvidia-";', '"libnvidia-";'} <= set(listed.split())
    policy = upgrade.bench.on("apt-cache policy nvidia-driver-cuda")
    assert "Candidate: 580.95.05-1" in policy
    assert "580.126.09-1" in policy


def test_a_repository_whose_key_is_another_is_refused(upgrade: Upgrade) -> None:
    other = "0" * 40
    play = upgrade.bench.play(
        "nvidia_driver",
        nvidia_driver_version="580.126.09",
        nvidia_driver_exact=True,
        nvidia_driver_repository_key_fingerprint=other,
    )
    assert play.exit_code != 0
    assert f"gave the key {fingerprint()}, pinned is {other}: nothing was installed" in " ".join(play.text.split())
    assert driver(upgrade.bench) == "580.95.05"


def test_driver_and_fabric_manager_are_of_one_version_run_and_are_held(upgrade: Upgrade) -> None:
    installed = upgrade.bench.on(
        "dpkg-query -W -f '${db:Status-Abbrev} ${Version}\\n' '*nvidia*' | grep -v '^u' | cut -d- -f1 | sort -u"
    )
    assert installed == "hi  580.95.05"
    assert upgrade.bench.on("systemctl is-active nvidia-persistenced nvidia-fabricmanager").split() == ["active"] * 2
    assert upgrade.bench.on("systemctl is-enabled nvidia-persistenced nvidia-fabricmanager").split() == ["enabled"] * 2


def test_the_verdict_says_which_driver_was_found_and_where_it_came_from(upgrade: Upgrade) -> None:
    verdict = json.loads(upgrade.bench.on("cat /var/lib/nodestack/results/driver.json"))
    source = "http://127.0.0.1:8091/apt"
    assert verdict == {
        **{"pass": True, "version": "580.95.05", "minimum": "580", "source": source},
        **{"loaded": "580.95.05", "open_modules": True, "fabric_manager": "580.95.05", "nscq": "580.95.05"},
    }
    DriverResult.model_validate(verdict)


def test_a_driver_that_is_new_enough_is_left_alone_whatever_version_would_be_installed(upgrade: Upgrade) -> None:
    play = upgrade.bench.play("nvidia_driver", nvidia_driver_version="580.126.09")
    assert (play.exit_code, play.changed) == (0, 0), play.text


def test_a_version_that_is_not_offered_is_refused_with_those_that_are(upgrade: Upgrade) -> None:
    play = upgrade.bench.play("nvidia_driver", nvidia_driver_version="590.10.01", nvidia_driver_minimum_version="590")
    assert play.exit_code != 0
    said = " ".join(play.text.split())
    assert "Driver 590.10.01 is needed, but http://127.0.0.1:8091/apt has no nvidia-kernel-open-dkms, no" in said
    assert "choose one it has (595.71.05, 580.126.09, 580.95.05, 550.54.15)" in said
    assert driver(upgrade.bench) == "580.95.05"


def test_what_requires_the_gate_starts_on_good_hardware_and_not_on_bad(upgrade: Upgrade) -> None:
    bench = upgrade.bench
    bench.on(f"sudo tee /etc/systemd/system/serving.service >/dev/null <<'ENDS'\n{SERVING}ENDS")
    bench.on("sudo systemctl daemon-reload && sudo systemctl enable serving")
    bench.reboot()
    assert bench.on("systemctl is-active nodestack-fabric serving").split() == ["active", "active"]
    assert "nodestack_fabric_pass 1" in bench.on("cat /var/lib/nodestack/metrics/fabric.prom").splitlines()
    bench.record("h100-pix-gpu2-gpu3")
    try:
        bench.reboot()
        assert bench.on("systemctl is-active nodestack-fabric serving").split() == ["failed", "inactive"]
        play = bench.play("fabric")
        assert play.exit_code != 0
        assert "topology GPU2-GPU3: expected NV18, saw PIX: ask the provider to replace the node" in play.text
        assert json.loads(bench.on("cat /var/lib/nodestack/results/fabric.json"))["pass"] is False
        told = bench.on("cat /var/lib/nodestack/metrics/fabric.prom").splitlines()
        assert {"nodestack_fabric_pass 0", 'nodestack_fabric_check{check="topology"} 0'} <= set(told)
    finally:
        bench.record("h100-sxm5-x8")


def hand_over(bench: Bench, version: str, *, fabric_manager: bool) -> None:
    """Have what an image might hold: a driver that nobody holds or pins, and that is loaded after a reboot."""
    names = ["nvidia-kernel-open-dkms", "nvidia-driver-cuda", "nvidia-persistenced"]
    managers = ["nvidia-fabricmanager", "libnvidia-nscq"]
    wanted = [f"{name}={version}-1" for name in [*names, *(managers if fabric_manager else [])]]
    wanted += [] if fabric_manager else [f"{name}-" for name in managers]
    bench.on("sudo rm -f /etc/apt/preferences.d/nvidia-driver")
    install = "apt-get install -y --allow-downgrades --allow-change-held-packages"
    bench.on(f"sudo env DEBIAN_FRONTEND=noninteractive {install} {' '.join(wanted)}")
    bench.on("sudo apt-mark unhold $(apt-mark showhold)")


@pytest.mark.qualify
def test_exactly_the_wanted_version_is_had_up_and_down(upgrade: Upgrade) -> None:
    bench = upgrade.bench
    for wanted in ("580.126.09", "580.95.05"):
        play = bench.play("base", "nvidia_driver", "fabric", nvidia_driver_version=wanted, nvidia_driver_exact=True)
        assert play.exit_code == 0, play.text
        assert version(bench) == (wanted, wanted)
        held = bench.on("dpkg-query -W -f '${db:Status-Abbrev} ${Version}\\n' '*nvidia*' | grep -v '^u' | sort -u")
        assert held == f"hi  {wanted}-1"


@pytest.mark.qualify
def test_a_newer_driver_without_a_fabric_manager_gives_way_to_the_one_that_has_one(upgrade: Upgrade) -> None:
    bench = upgrade.bench
    hand_over(bench, "595.71.05", fabric_manager=False)
    bench.reboot()
    assert version(bench) == ("595.71.05", "595.71.05")
    play = bench.play("base", "nvidia_driver", "fabric")
    assert play.exit_code == 0, play.text
    assert version(bench) == ("580.95.05", "580.95.05")


@pytest.mark.qualify
def test_a_driver_that_only_waits_for_its_reboot_gets_one_and_nothing_else(upgrade: Upgrade) -> None:
    bench = upgrade.bench
    hand_over(bench, "580.126.09", fabric_manager=True)
    assert "version mismatch" in bench.on("nvidia-smi")
    play = bench.play("nvidia_driver", "fabric")
    assert play.exit_code == 0, play.text
    assert "Install from what apt knows already" not in play.text
    assert "Reboot, as another version stays loaded until then" in play.text
    assert version(bench) == ("580.126.09", "580.126.09")
    # Now it is like a good image: held, otherwise left alone.
    again = bench.play("nvidia_driver", "fabric")
    assert (again.exit_code, again.changed) == (0, 0), again.text
    assert bench.play("nvidia_driver", nvidia_driver_exact=True).exit_code == 0


@pytest.mark.qualify
def test_four_h200_of_a_shared_board_need_no_fabric_manager_and_pass(upgrade: Upgrade) -> None:
    bench = upgrade.bench
    bench.record("h200-sxm5-x4")
    try:
        bench.on("sudo systemctl stop nvidia-fabricmanager")
        play = bench.play("nvidia_driver", "fabric", fabric_again=True, **FOUR_H200)
        assert play.exit_code == 0, play.text
        assert bench.on("systemctl is-active nvidia-fabricmanager") == "inactive"
        again = bench.play("nvidia_driver", "fabric", **FOUR_H200)
        assert (again.exit_code, again.changed) == (0, 0), again.text
        checked = bench.play("nvidia_driver", "fabric", check=True, **FOUR_H200)
        assert (checked.exit_code, checked.changed) == (0, 0), checked.text
    finally:
        bench.record("h100-sxm5-x8")
        bench.on("sudo systemctl start nvidia-fabricmanager")
