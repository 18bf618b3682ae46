"""The Node resource: what exists is never forgotten, a failed start is gone on with, another machine comes second."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event

import pytest
from pulumi.runtime.proto.provider_pb2 import DiffResponse

from nodestack.clouds.base import (
    Account,
    LocalAccount,
    Node,
    NodeRequest,
    NodeStatus,
    Progress,
    SpheronAccount,
    VerdaAccount,
)
from nodestack.plugin.properties import UNKNOWN, Properties
from nodestack.plugin.resources.node import host_key_late_s
from tests.lifecycle.memory_cloud import Fault, MemoryCloud
from tests.plugin import inputs
from tests.plugin.engine import Engine, Existing, Failed, plugin_over

FOREVER = 10**9


@pytest.fixture
def booting() -> Iterator[tuple[Engine, MemoryCloud]]:
    cloud = MemoryCloud(boot_polls=FOREVER)
    with plugin_over(cloud) as engine:
        yield engine, cloud


def cancelled_create(engine: Engine, asked: dict[str, object], begun: Event | None = None) -> tuple[Failed, float]:
    """Create, cancel in the middle, and return how it failed and after how many seconds."""
    with ThreadPoolExecutor(1) as pool:
        creating = pool.submit(engine.create, "Node", asked)
        if begun is not None:
            assert begun.wait(10)
        else:
            time.sleep(1)
        since = time.monotonic()
        engine.cancel()
        failure = creating.exception(30)
        assert isinstance(failure, Failed)
        return failure, time.monotonic() - since


def interrupted(engine: Engine, asked: dict[str, object]) -> Existing:
    failure, _ = cancelled_create(engine, asked)
    return Existing("Node", failure.kept_id, asked, failure.outputs or {})


def test_cancelling_a_boot_keeps_the_node_and_what_is_known_of_it(
    booting: tuple[Engine, MemoryCloud], tmp_path: Path
) -> None:
    engine, cloud = booting
    failure, took_s = cancelled_create(engine, inputs.node(tmp_path, "v-1"))
    assert took_s < 10
    assert [failure.kept_id] == list(cloud.nodes)
    assert failure.reasons == ("stopped while waiting for node web to run: what exists is kept, run again to go on",)
    assert failure.refresh_before_update
    assert failure.outputs is not None
    assert failure.outputs["identity"] == cloud.nodes[failure.kept_id].identity
    assert failure.outputs["ready"] is False


class Slow(MemoryCloud):
    """Its create cannot be told to stop, and its answer never comes."""

    def __init__(self) -> None:
        super().__init__()
        self.begun = Event()
        self.end = Event()

    def create_node(self, request: NodeRequest, progress: Progress) -> Node:
        node = super().create_node(request, progress)
        self.begun.set()
        self.end.wait(60)
        return node


def test_cancelling_a_request_that_does_not_return_keeps_what_came_of_it(tmp_path: Path) -> None:
    cloud = Slow()
    with plugin_over(cloud) as engine:
        failure, took_s = cancelled_create(engine, inputs.node(tmp_path, "v-1"), cloud.begun)
        cloud.end.set()
    assert took_s < 10
    assert [failure.kept_id] == list(cloud.nodes)


def test_a_node_that_was_not_ready_is_updated_though_its_inputs_are_the_same_and_read_found_it(
    booting: tuple[Engine, MemoryCloud], tmp_path: Path
) -> None:
    engine, _ = booting
    asked = inputs.node(tmp_path, "v-1")
    refreshed = engine.read(interrupted(engine, asked))
    assert refreshed is not None
    difference = engine.diff(refreshed, asked)
    assert (list(difference.diffs), list(difference.replaces)) == (["ready"], [])


def test_a_node_that_is_gone_has_no_id_any_more(tmp_path: Path) -> None:
    with plugin_over(MemoryCloud()) as engine:
        assert engine.read(Existing("Node", "id-7", inputs.node(tmp_path, "v-1"), {"ready": True})) is None


def ready(tmp_path: Path) -> Existing:
    outputs: Properties = {
        "nodeId": "id-1",
        "identity": "id-1/nonce",
        "address": "192.0.2.1",
        "sshPort": 22,
        "ready": True,
    }
    return Existing("Node", "id-1", inputs.node(tmp_path, "v-1"), outputs)


@pytest.mark.parametrize(
    ("name", "value"), [("shape", "large"), ("volumeId", "v-2"), ("volumeId", UNKNOWN), ("name", "api")]
)
def test_another_machine_is_a_replacement_and_the_old_one_goes_first(
    engine: Engine, tmp_path: Path, name: str, value: object
) -> None:
    difference = engine.diff(ready(tmp_path), inputs.node(tmp_path, "v-1") | {name: value})
    assert (list(difference.replaces), difference.deleteBeforeReplace) == ([name], True)


def test_another_directory_of_the_account_is_no_other_machine(engine: Engine, tmp_path: Path) -> None:
    difference = engine.diff(ready(tmp_path), inputs.node(tmp_path / "moved", "v-1"))
    assert difference.changes == DiffResponse.DIFF_NONE


def test_a_preview_leaves_open_what_only_the_machine_can_tell(engine: Engine, tmp_path: Path) -> None:
    planned = engine.create("Node", inputs.node(tmp_path, UNKNOWN), preview=True)
    assert set(planned.outputs.values()) == {UNKNOWN}
    assert list(tmp_path.iterdir()) == []


def test_a_preview_of_going_on_plans_no_other_machine(engine: Engine, tmp_path: Path) -> None:
    before = ready(tmp_path)
    planned = engine.update(before, before.inputs, preview=True)
    assert planned.outputs["identity"] == "id-1/nonce"


def test_a_lost_answer_to_create_is_no_second_node(tmp_path: Path) -> None:
    cloud = MemoryCloud(boot_polls=FOREVER)
    cloud.fail(2, Fault.ANSWER_LOST)
    with plugin_over(cloud) as engine:
        interrupted(engine, inputs.node(tmp_path, "v-1"))
    assert len(cloud.nodes) == 1


def test_deleting_ends_when_the_node_is_gone_and_its_volume_is_not_touched(
    booting: tuple[Engine, MemoryCloud], tmp_path: Path
) -> None:
    engine, cloud = booting
    volume = engine.create("Volume", inputs.volume(tmp_path))
    made = interrupted(engine, inputs.node(tmp_path, volume.resource_id))
    with plugin_over(cloud) as another_run:
        another_run.delete(made)
        another_run.delete(made)
    assert cloud.nodes == {}
    assert list(cloud.volumes) == [volume.resource_id]


def test_a_node_seen_booting_again_is_waited_for(tmp_path: Path) -> None:
    cloud = MemoryCloud(boot_polls=FOREVER)
    with plugin_over(cloud) as engine:
        made = interrupted(engine, inputs.node(tmp_path, "v-1"))
        refreshed = engine.read(Existing("Node", made.resource_id, made.inputs, made.outputs | {"ready": True}))
    assert cloud.nodes[made.resource_id].status is NodeStatus.BOOTING
    assert refreshed is not None
    assert refreshed.outputs["ready"] is False


def test_no_secret_is_in_the_outputs(booting: tuple[Engine, MemoryCloud], tmp_path: Path) -> None:
    engine, _ = booting
    made = interrupted(engine, inputs.node(tmp_path, "v-1"))
    assert "PRIVATE KEY" not in str(made.outputs)


@pytest.mark.parametrize(
    ("account", "age_s", "late_s"),
    [
        (SpheronAccount(), 0, 600),
        (SpheronAccount(), 240, 360),
        (VerdaAccount(), 3600, 0),
        (VerdaAccount(), -3600, 600),
        (VerdaAccount(base_url="http://127.0.0.1:1/v1"), 0, 0),
        (LocalAccount(directory="/a"), 0, 0),
    ],
)
def test_a_host_key_may_be_late_until_the_first_boot_must_be_over(account: Account, age_s: int, late_s: int) -> None:
    now = datetime(2026, 11, 22, 12, tzinfo=UTC)
    assert host_key_late_s(account, now - timedelta(seconds=age_s), now) == late_s


def test_a_node_of_unknown_age_is_taken_to_be_new() -> None:
    assert host_key_late_s(SpheronAccount(), None, datetime.now(UTC)) == 600
