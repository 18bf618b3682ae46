"""The driver and fabric roles on a real node: an image's old driver, its upgrade, and hardware that is not fit."""

import json
from dataclasses import dataclass

import pytest

from tests.playbooks.nvidia_driver.conftest import Bench, Play

pytestmark = pytest.mark.node

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
    roles = ("base", "nvidia_driver", "fabric")
    play = bench.play(*roles)
    newer, newer_boot = driver(bench), boot(bench)
    return Upgrade(bench, older, older_boot, play, newer, newer_boot, bench.play(*roles))


def test_a_first_driver_is_loaded_without_a_reboot(upgrade: Upgrade) -> None:
    assert upgrade.older == "550.54.15"


def test_an_older_driver_is_replaced_by_way_of_a_reboot(upgrade: Upgrade) -> None:
    assert upgrade.play.exit_code == 0, upgrade.play.text
    assert (upgrade.newer, upgrade.newer_boot == upgrade.older_boot) == ("580.95.05", False)


def test_a_second_run_changes_nothing(upgrade: Upgrade) -> None:
    assert (upgrade.again.exit_code, upgrade.again.changed) == (0, 0), upgrade.again.text


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
    assert verdict == {"pass": True, "version": "580.95.05", "minimum": "580", "source": source}


def test_a_driver_that_is_new_enough_is_left_alone_whatever_version_would_be_installed(upgrade: Upgrade) -> None:
    play = upgrade.bench.play("nvidia_driver", nvidia_driver_version="580.126.09")
    assert (play.exit_code, play.changed) == (0, 0), play.text


def test_a_version_that_is_not_offered_is_refused_with_those_that_are(upgrade: Upgrade) -> None:
    play = upgrade.bench.play("nvidia_driver", nvidia_driver_version="590.10.01", nvidia_driver_minimum_version="590")
    assert play.exit_code != 0
    assert "Driver 590.10.01 is needed, but http://127.0.0.1:8091/apt offers of that version only nothing" in play.text
    assert "choose a version it has (580.95.05, 550.54.15)" in play.text
    assert driver(upgrade.bench) == "580.95.05"


def test_what_requires_the_gate_starts_on_good_hardware_and_not_on_bad(upgrade: Upgrade) -> None:
    bench = upgrade.bench
    bench.on(f"sudo tee /etc/systemd/system/serving.service >/dev/null <<'ENDS'\n{SERVING}ENDS")
    bench.on("sudo systemctl daemon-reload && sudo systemctl enable serving")
    bench.reboot()
    assert bench.on("systemctl is-active nodestack-fabric serving").split() == ["active", "active"]
    bench.record("h100-pix-gpu2-gpu3")
    try:
        bench.reboot()
        assert bench.on("systemctl is-active nodestack-fabric serving").split() == ["failed", "inactive"]
        play = bench.play("fabric")
        assert play.exit_code != 0
        assert "topology GPU2-GPU3: expected NV18, saw PIX: ask the provider to replace the node" in play.text
        assert json.loads(bench.on("cat /var/lib/nodestack/results/fabric.json"))["pass"] is False
    finally:
        bench.record("h100-sxm5-x8")
