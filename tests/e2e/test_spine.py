"""A stack's life on this machine, in order: up, damage and repair, down and up, a lost machine, a bad fabric, purge."""

import json
import os
import re
import signal
import time

import pytest

from nodestack.clouds.local import tiny_model
from tests.e2e.project import NODE, ROOT, STACK, Project, leftovers, processes

pytestmark = [pytest.mark.e2e, pytest.mark.node, pytest.mark.vllm]

DOCUMENTED = set(re.findall(r"^\| `(\w+)` \|", (ROOT / "docs" / "outputs.md").read_text(encoding="utf-8"), flags=re.M))
SHARD = "model-00002-of-00005.safetensors"
SHARD_BYTES = {
    path.name: path.stat().st_size for path in (tiny_model.repository() / tiny_model.COMMIT).glob("*.safetensors")
}


def identity(project: Project) -> str:
    return str(json.loads((project.account / "nodes" / NODE / "node.json").read_text())["identity"])


def test_up_ends_with_a_completion_and_says_what_was_verified(project: Project) -> None:
    run = project.up()
    assert run.status == 0, run.text
    assert re.search(r"says:\n  .+\n(  .*\n)*  \(\d+ tokens in", run.text)
    outputs = project.outputs()
    assert outputs.keys() == DOCUMENTED
    assert outputs["fabric"]["pass"] and outputs["smoke"]["pass"]
    assert re.fullmatch(r"[0-9a-f]{64}", outputs["manifest_sha256"])
    assert outputs["engine_version"] == "0.23.0"
    assert outputs["volume"]["protected"] is True
    assert outputs["cost"]["usd_per_hour"] == 0 and outputs["cost"]["basis"].startswith("free: ")
    assert len(project.nodes()) == len(project.volumes()) == 1
    assert project.shard_bytes() == SHARD_BYTES, "each byte once"


def test_up_again_changes_nothing_and_runs_no_playbook(project: Project) -> None:
    logs = sorted(path.name for path in (project.account / "logs").iterdir())
    before = identity(project)
    run = project.up()
    assert run.status == 0, run.text
    assert re.search(r"Resources:\n\s+\d+ unchanged\n", run.text), run.text
    assert sorted(path.name for path in (project.account / "logs").iterdir()) == logs, "a playbook wrote a log"
    assert identity(project) == before


def test_no_secret_is_in_state_logs_arguments_or_leftovers(project: Project) -> None:
    private = [line for line in project.secret("ssh_private_key").splitlines() if line and "-----" not in line]
    secrets = [project.secret("api_key"), project.secret("hub_token"), private[2]]
    places = [path for path in project.root.rglob("*") if path.is_file() and ".venv" not in path.parts]
    # The machine's own root and disk hold the key it serves with; what is asked is what lies outside of it.
    places = [path for path in places if "upper" not in path.parts and path.suffix != ".img"]
    assert any(path.name == f"{STACK}.json" for path in places)
    for path in places:
        if path.is_relative_to(project.account / "volumes") or not path.stat().st_size:
            continue
        content = path.read_bytes()
        assert not any(secret.encode() in content for secret in secrets), path
    arguments = project.node(
        "cat /proc/*/cmdline /proc/[0-9]*/environ 2>/dev/null | tr '\\0' '\\n'; journalctl --no-pager"
    )
    assert "nodestack" in arguments
    assert not any(secret in arguments for secret in secrets)


def test_the_commands_of_the_readme_work_as_printed(project: Project) -> None:
    """After the search for secrets: one of them prints the key, and what is printed here is kept in a log."""
    readme = (project.root / "README.md").read_text(encoding="utf-8")
    blocks = [block.partition("```")[0] for block in readme.split("```sh\n")[1:]]
    # What the other tests of this module or of test_verify_and_bench run, and what runs these very tests.
    elsewhere = {"up", "test", "down", "purge", "check", "qualify", "verify", "bench"}
    for block in blocks:
        lines = [line.partition("#")[0].strip() for line in block.splitlines()]
        kept = [line for line in lines if line and line.removeprefix("make ") not in elsewhere]
        run = project.shell(" && ".join(kept) or "true", PULUMI_SKIP_CONFIRMATIONS="true")
        assert run.status == 0, run.text


def test_a_flipped_byte_stops_the_service_and_only_that_shard_is_fetched_again(project: Project) -> None:
    path = f"/srv/nodestack/weights/current/{SHARD}"
    project.node(
        f"printf X | dd of={path} bs=1 seek=5000 conv=notrunc 2>/dev/null; systemctl restart nodestack-vllm || true"
    )
    journal = project.node("systemctl is-active nodestack-vllm; journalctl -u nodestack-weights --no-pager -n 40")
    assert not journal.startswith("active")
    assert SHARD in journal
    asked = len(project.hub_requests())
    run = project.up()
    assert run.status == 0, run.text
    assert project.shard_bytes(asked) == {SHARD: SHARD_BYTES[SHARD]}


def test_down_keeps_the_volume_and_up_fetches_no_shard_again(project: Project) -> None:
    before, asked = project.outputs(), len(project.hub_requests())
    down = project.make("down")
    assert down.status == 0, down.text
    assert project.nodes() == [] and len(project.volumes()) == 1
    run = project.up()
    assert run.status == 0, run.text
    after = project.outputs()
    assert after["volume"] == before["volume"]
    assert after["manifest_sha256"] == before["manifest_sha256"]
    assert project.shard_bytes(asked) == {}


def test_a_machine_that_died_is_replaced_and_the_new_one_is_configured(project: Project) -> None:
    """The new machine may have the same address: it must serve all the same, never stay blank with exit 0."""
    before = identity(project)
    os.kill(project.supervisor(), signal.SIGKILL)
    run = project.up()
    assert run.status == 0, run.text
    assert identity(project) != before
    assert project.outputs()["smoke"]["pass"]
    assert len(project.nodes()) == len(project.volumes()) == 1


def test_a_broken_fabric_stops_before_weights_and_names_the_pair(project: Project) -> None:
    asked = len(project.hub_requests())
    project.configure("cloud", hardware_profile="h100-pix-gpu2-gpu3")
    run = project.up()
    assert run.status != 0
    assert "GPU2" in run.text and "GPU3" in run.text and "PIX" in run.text
    assert project.hub_requests()[asked:] == []
    assert len(project.nodes()) == 1, "kept for inspection"
    down = project.make("down")
    assert down.status == 0, down.text
    assert project.nodes() == []


def test_purge_leaves_nothing_of_this_machine(project: Project) -> None:
    purge = project.make("purge", "YES=1")
    assert purge.status == 0, purge.text
    assert project.nodes() == project.volumes() == []
    deadline = time.monotonic() + 10
    while leftovers(project) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert leftovers(project) == []
    assert list(processes(str(project.root))) == []
