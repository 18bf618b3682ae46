"""What goes wrong on the way to a served model: each broken node by its own message, a cut hub, a full volume."""

import pytest

from nodestack.clouds.local import tiny_model
from tests.e2e.project import Project

pytestmark = [pytest.mark.e2e, pytest.mark.node, pytest.mark.vllm, pytest.mark.qualify]

BROKEN = {
    "h100-fabric-in-progress": ["In Progress"],
    "h100-inactive-links": ["GPU4", "link 7", "link 11"],
    "h100-missing-gpu": ["expected 8", "saw 7"],
    "h100-ecc-errors": ["GPU5", "ECC"],
}
CUT = "model-00003-of-00005.safetensors"
CUT_AFTER_BYTES = 400_000


@pytest.mark.parametrize("profile", BROKEN)
def test_a_broken_node_is_refused_by_its_own_message_before_any_weights(project: Project, profile: str) -> None:
    assert project.make("init").status == 0
    project.configure("cloud", hardware_profile=profile)
    run = project.up()
    assert run.status != 0
    assert "fabric: " in run.text
    assert all(word in run.text for word in BROKEN[profile]), run.text
    assert project.hub_requests() == []
    assert len(project.nodes()) == 1, "kept for inspection"
    down = project.make("down")
    assert down.status == 0, down.text
    assert project.nodes() == []


def test_a_hub_cut_in_the_middle_of_a_shard_is_resumed_where_it_was(project: Project) -> None:
    project.configure("cloud", hardware_profile="h100-sxm5-x8")
    project.inject({"path": f"*/{CUT}", "cut_after_bytes": CUT_AFTER_BYTES})
    run = project.up()
    assert run.status == 0, run.text
    size = (tiny_model.repository() / tiny_model.COMMIT / CUT).stat().st_size
    asked = [r for r in project.hub_requests() if r["method"] == "GET" and r["path"].endswith(CUT)]
    assert len(asked) > 1, "it was cut"
    assert project.shard_bytes()[CUT] == size, "no byte twice"


def test_a_full_volume_is_refused_with_its_figures_and_what_is_there_goes_on_serving(project: Project) -> None:
    project.node("fallocate -l $(df --output=avail -B1 /srv/nodestack | tail -1) /srv/nodestack/ballast || true")
    project.configure("model", commit=tiny_model.NEXT_COMMIT)
    run = project.up()
    assert run.status != 0
    assert "bytes more on /srv/nodestack" in run.text and "bytes are free" in run.text
    assert project.node("systemctl is-active nodestack-vllm").strip() == "active"
    assert tiny_model.COMMIT in project.node("readlink /srv/nodestack/weights/current")
    project.node("rm /srv/nodestack/ballast")


def test_another_commit_fetches_only_what_differs_or_is_not_there(project: Project) -> None:
    run = project.up()
    assert run.status == 0, run.text
    assert project.outputs()["model_commit"] == tiny_model.NEXT_COMMIT
    assert tiny_model.NEXT_COMMIT in project.node("readlink /srv/nodestack/weights/current")
