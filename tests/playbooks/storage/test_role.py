"""The base, storage and weights roles on a real node: from an empty volume to verified weights, and what is refused."""

import json
from dataclasses import dataclass
from typing import Any

import pytest

from nodestack.clouds.base import LocalAccount
from nodestack.clouds.local import LocalCloud, tiny_model
from nodestack.provisioning.report import NodeStatusReport
from tests.playbooks.reached import Play
from tests.playbooks.roles_bench import Bench

pytestmark = pytest.mark.node

ROLES = ("base", "storage", "weights")
DOCUMENT: dict[str, Any] = {
    "storage_device": "/dev/vdb",
    "storage_mount_point": "/srv/nodestack",
    "weights_endpoint": "http://127.0.0.1:8090",
    "weights_repository": tiny_model.REPOSITORY,
    "weights_commit": tiny_model.COMMIT,
    "weights_high_performance": False,
    "vllm_find_links": "http://127.0.0.1:8091/wheels/",
}


@dataclass(frozen=True)
class Fetched:
    """A node that was empty, then had weights, then was played again."""

    bench: Bench
    first: Play
    second: Play

    def play(self, *roles: str, **changes: object) -> Play:
        return self.bench.play(*roles, **{**DOCUMENT, **changes})

    def check(self, *roles: str, **changes: object) -> Play:
        return self.bench.play(*roles, check=True, **{**DOCUMENT, **changes})

    def status(self) -> NodeStatusReport:
        return NodeStatusReport.model_validate_json(self.bench.on("/usr/local/lib/nodestack/status"))


@pytest.fixture(scope="module")
def fetched(bench: Bench) -> Fetched:
    first = bench.play(*ROLES, **DOCUMENT)
    assert first.exit_code == 0, first.text
    return Fetched(bench, first, bench.play(*ROLES, **DOCUMENT))


def shard_requests(bench: Bench) -> int:
    log = bench.directory / "account" / "logs" / f"hub-{bench.node.name}.jsonl"
    requests = [json.loads(line) for line in log.read_text().splitlines()]
    return sum(request["method"] == "GET" and request["path"].endswith(".safetensors") for request in requests)


def refusal(play: Play) -> str:
    assert play.exit_code != 0
    return play.text.rsplit('"msg": "', 1)[1].split('"}')[0]


def test_an_empty_volume_ends_with_verified_weights(fetched: Fetched) -> None:
    status = fetched.status()

    assert status.identity == "test"
    assert status.weights is not None
    assert (status.weights.commit, status.weights.changed) == (tiny_model.COMMIT, ())
    assert fetched.bench.on("sudo /usr/local/lib/nodestack/verify-weights && echo verified") == "verified"


def test_a_second_run_changes_nothing_and_fetches_nothing(fetched: Fetched) -> None:
    assert fetched.second.exit_code == 0, fetched.second.text
    assert fetched.second.changed == 0
    assert shard_requests(fetched.bench) == len(list(tiny_model.checkpoint().glob("*.safetensors")))


def test_check_mode_changes_nothing_of_what_is_as_it_should_be(fetched: Fetched) -> None:
    play = fetched.check(*ROLES)

    assert play.exit_code == 0, play.text
    assert play.changed == 0, play.text


def test_check_mode_says_that_another_commit_would_be_fetched_and_fetches_nothing(fetched: Fetched) -> None:
    before = shard_requests(fetched.bench)

    play = fetched.check("weights", weights_commit=tiny_model.NEXT_COMMIT)

    assert (play.exit_code, play.changed) == (0, 1), play.text
    assert shard_requests(fetched.bench) == before
    assert fetched.bench.on("readlink /srv/nodestack/weights/current").endswith(tiny_model.COMMIT)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"storage_device": "/etc/hostname"}, "/etc/hostname, which is no block device"),
        ({"storage_device": "/dev/vdz"}, "/dev/vdz, which is not there"),
        ({"storage_mount_point": "/srv/other"}, "is in use at /srv/nodestack"),
        ({"storage_label": "other"}, "is neither empty nor labelled other; it holds LABEL=nodestack"),
    ],
)
def test_a_device_that_may_be_somebody_elses_is_refused(fetched: Fetched, changes: dict[str, str], said: str) -> None:
    assert said in refusal(fetched.play("storage", **changes))


def test_a_commit_that_may_move_is_refused_with_the_programs_own_words(fetched: Fetched) -> None:
    said = refusal(fetched.play("weights", weights_commit="main"))

    assert said.startswith("the model's commit is 'main', 40 hex digits are needed")
    assert fetched.status().results.weights is not None


def test_a_full_volume_is_refused_with_needed_and_free_bytes_and_keeps_what_it_has(fetched: Fetched) -> None:
    free = int(fetched.bench.on("df --output=avail --block-size=1 /srv/nodestack | tail -1"))
    fetched.bench.on(f"sudo fallocate --length {free - 1_000_000} /srv/nodestack/cache/filler")
    try:
        said = refusal(fetched.play("weights", weights_commit=tiny_model.NEXT_COMMIT))
    finally:
        fetched.bench.on("sudo rm /srv/nodestack/cache/filler")

    assert "bytes more on /srv/nodestack/weights" in said
    assert "make the volume larger than 1 GiB" in said
    assert fetched.bench.on("sudo /usr/local/lib/nodestack/verify-weights && echo verified") == "verified"


def test_a_grown_volume_is_filled_and_its_files_stay(fetched: Fetched) -> None:
    account = LocalAccount(directory=str(fetched.bench.directory / "account"))
    LocalCloud(account).grow_volume(fetched.bench.node.volume_id, 2)

    play = fetched.play("storage")

    assert play.exit_code == 0, play.text
    assert int(fetched.bench.on("df --output=size --block-size=1M /srv/nodestack | tail -1")) > 1500
    assert fetched.bench.on("sudo /usr/local/lib/nodestack/verify-weights && echo verified") == "verified"


def test_a_commit_is_switched_to_and_back_from_with_the_hub_away(fetched: Fetched) -> None:
    assert fetched.play("weights", weights_commit=tiny_model.NEXT_COMMIT).exit_code == 0
    there = fetched.status().results.weights

    play = fetched.play("weights", weights_endpoint="http://127.0.0.1:9")

    back = fetched.status().results.weights
    assert play.exit_code == 0, play.text
    assert there is not None and back is not None
    assert (there.commit, there.former_commit) == (tiny_model.NEXT_COMMIT, tiny_model.COMMIT)
    assert (back.commit, back.former_commit, back.fetched_bytes) == (tiny_model.COMMIT, tiny_model.NEXT_COMMIT, 0)
    assert back.seconds < 5
    assert fetched.bench.on("sudo /usr/local/lib/nodestack/verify-weights && echo verified") == "verified"
    assert "nodestack_weights_pass" in fetched.bench.on("cat /var/lib/nodestack/metrics/weights.prom")


def test_the_volume_is_mounted_again_after_a_reboot(fetched: Fetched) -> None:
    fetched.bench.reboot()

    assert fetched.bench.on("findmnt --noheadings --output SOURCE,OPTIONS /srv/nodestack").startswith("/dev/vdb ")
    assert "noatime" in fetched.bench.on("findmnt --noheadings --output OPTIONS /srv/nodestack")
    # Its /sys is this machine's and cannot be written to: that it ran to its end is all that can be seen here.
    assert fetched.bench.on("systemctl is-active nodestack-read-ahead.service") == "active"
    assert fetched.status().weights is not None


def test_a_volume_that_nobody_names_is_found_where_it_is_mounted_already(fetched: Fetched) -> None:
    play = fetched.play("storage", storage_device="", storage_volume_size_gib=2, storage_wait_s=0)

    assert play.exit_code == 0, play.text
    assert play.changed == 0


def test_a_share_is_mounted_marked_and_found_again(fetched: Fetched) -> None:
    # This kernel knows no virtiofs: a helper of that name mounts a directory instead.
    fetched.bench.on(
        "sudo mkdir -p /var/lib/share && "
        "printf '#!/bin/sh\\nexec mount --bind /var/lib/share \"$2\"\\n' | sudo tee /sbin/mount.virtiofs && "
        "sudo chmod 755 /sbin/mount.virtiofs && echo 'vol-77 /mnt/vol virtiofs noauto 0 0' | sudo tee -a /etc/fstab"
    )
    changes = {"storage_device": "", "storage_volume_handle": "vol-77", "storage_mount_point": "/srv/share"}
    try:
        first, second = fetched.play("storage", **changes), fetched.play("storage", **changes)

        assert (first.exit_code, second.exit_code, second.changed) == (0, 0, 0), first.text + second.text
        assert fetched.bench.on("cat /var/lib/share/.nodestack-volume; ls /var/lib/share").split() == [
            *("nodestack", "cache", "engines", "weights"),
        ]
        assert fetched.bench.on("systemctl show --property=What --value srv-share.mount") != "/dev/vdb"
    finally:
        fetched.bench.on("sudo systemctl disable --now srv-share.mount; sudo sed -i /vol-77/d /etc/fstab")


def test_a_blank_disk_that_nobody_names_is_taken_if_it_has_the_size_asked_for(fetched: Fetched) -> None:
    fetched.bench.on(
        "sudo systemctl stop srv-nodestack.mount && sudo wipefs --all /dev/vdb && "
        "sudo dd if=/dev/zero of=/dev/vdb bs=1M count=1 && sudo dd if=/dev/zero of=/dev/vdb bs=1M seek=2047 count=1"
    )
    blank = {"storage_device": "", "storage_wait_s": 0}

    said = refusal(fetched.play("storage", **blank, storage_volume_size_gib=600))
    assert "There is: /dev/vdb (2.0 GiB) is empty, but has another size" in said
    play = fetched.play("storage", **blank, storage_volume_size_gib=2)

    assert play.exit_code == 0, play.text
    assert fetched.bench.on("findmnt --noheadings --output SOURCE /srv/nodestack") == "/dev/vdb"
    assert fetched.bench.on("sudo blkid --probe --output value --match-tag LABEL /dev/vdb") == "nodestack"
    assert fetched.bench.on("ls /srv/nodestack").split() == ["cache", "engines", "lost+found", "weights"]
