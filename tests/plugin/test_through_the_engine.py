"""What only the real engine shows: drift seen by a plain preview, failed starts gone on with, replacement in order."""

import json
import os
import signal
import time
from collections.abc import Iterator

import pytest

from tests.plugin import inputs
from tests.plugin.engine import process_ends
from tests.plugin.trial import Trial

pytestmark = [pytest.mark.e2e, pytest.mark.node]


@pytest.fixture(scope="module")
def trial(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trial]:
    trial = Trial(tmp_path_factory.mktemp("a trial"))
    yield trial
    trial.clear()


def identity(trial: Trial) -> str:
    node = trial.resource("Node")
    assert node is not None
    return str(node["outputs"]["identity"])


def test_up_makes_a_volume_and_a_node_that_is_ready(trial: Trial) -> None:
    run = trial.up()
    assert run.status == 0, run.text
    node = trial.resource("Node")
    assert node is not None
    assert node["outputs"]["ready"] is True
    assert node["refreshBeforeUpdate"] is True


def test_its_way_is_printed_on_its_row_but_not_kept(trial: Trial) -> None:
    assert "making node web" not in trial.state()


def test_no_secret_is_in_the_state_in_plain_text(trial: Trial) -> None:
    assert inputs.API_KEY not in trial.state()
    assert "OPENSSH PRIVATE KEY" not in trial.state()


def test_nothing_of_the_stacks_configuration_is_in_the_state_of_the_provider(trial: Trial) -> None:
    resources = json.loads(trial.state())["checkpoint"]["latest"]["resources"]
    provider = next(entry for entry in resources if entry["type"] == "pulumi:providers:nodestack")
    assert "api_key" not in str(provider)


def test_up_again_changes_nothing(trial: Trial) -> None:
    run = trial.up()
    assert (run.status, run.changes) == (0, {"unchanged": 3}), run.text


def test_a_vanished_node_is_planned_anew_by_a_plain_preview_and_made_by_a_plain_up(trial: Trial) -> None:
    before = identity(trial)
    supervisor = trial.supervisor()
    os.kill(supervisor, signal.SIGKILL)
    assert process_ends(supervisor, within_s=10)
    assert trial.preview().changes == {"create": 1, "unchanged": 2}
    run = trial.up()
    assert run.status == 0, run.text
    assert identity(trial) != before
    assert trial.nodes() == ["web"]


def test_another_shape_deletes_the_node_before_it_makes_the_next(trial: Trial) -> None:
    before = identity(trial)
    run = trial.up(shape="another")
    assert run.status == 0, run.text
    assert run.text.index("deleting node web") < run.text.index("making node web of shape another")
    assert identity(trial) != before
    assert trial.nodes() == ["web"]


def test_growing_the_volume_keeps_the_node(trial: Trial) -> None:
    before = identity(trial)
    run = trial.up(size_gib=2)
    assert (run.status, run.changes) == (0, {"updated": 1, "unchanged": 2}), run.text
    assert identity(trial) == before


def test_shrinking_the_volume_is_refused_in_one_sentence_and_changes_nothing(trial: Trial) -> None:
    run = trial.up(size_gib=1)
    assert run.status != 0
    assert "volume weights has 2 GiB, 1 GiB were asked for: volumes never shrink" in run.text
    assert trial.up(size_gib=2).changes == {"unchanged": 3}


def test_a_start_that_was_interrupted_is_kept_and_gone_on_with(trial: Trial) -> None:
    assert trial.up(node=False).status == 0
    assert trial.nodes() == []
    trial.preview(node=True)
    with trial.start() as running:
        deadline = time.monotonic() + 60
        while not trial.nodes() and time.monotonic() < deadline:
            time.sleep(0.05)
        os.killpg(running.pid, signal.SIGINT)
        since = time.monotonic()
        text, _ = running.communicate(timeout=60)
    assert time.monotonic() - since < 20, text
    assert trial.nodes() == ["web"], text
    kept = identity(trial)
    run = trial.up()
    assert run.status == 0, run.text
    assert trial.nodes() == ["web"]
    assert identity(trial) == kept
    assert trial.up().changes == {"unchanged": 3}
