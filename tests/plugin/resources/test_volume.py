"""The Volume resource through the plugin's process and the local cloud: adopted, grown, never shrunk or renamed."""

from pathlib import Path

import pytest
from pulumi.runtime.proto.provider_pb2 import DiffResponse

from nodestack.clouds.base import Volume
from nodestack.errors import VolumeInUse
from nodestack.plugin.properties import UNKNOWN
from tests.lifecycle.memory_cloud import Fault, MemoryCloud
from tests.plugin import inputs
from tests.plugin.engine import Engine, Existing, Failed, plugin_over


def test_its_whole_life(engine: Engine, tmp_path: Path) -> None:
    asked = inputs.volume(tmp_path)
    made = engine.create("Volume", asked)
    assert made.outputs == {"volumeId": made.resource_id, "name": "weights", "sizeGib": 1, "handle": ""}
    assert engine.read(made) == made
    assert engine.diff(made, asked).changes == DiffResponse.DIFF_NONE
    engine.delete(made)
    assert engine.read(made) is None
    engine.delete(made)


def test_creating_it_again_after_its_id_was_lost_finds_the_same_one(engine: Engine, tmp_path: Path) -> None:
    first = engine.create("Volume", inputs.volume(tmp_path))
    assert engine.create("Volume", inputs.volume(tmp_path)) == first


def test_growing_is_an_update_that_keeps_the_id(engine: Engine, tmp_path: Path) -> None:
    made = engine.create("Volume", inputs.volume(tmp_path, 1))
    larger = inputs.volume(tmp_path, 2)
    difference = engine.diff(made, larger)
    assert (list(difference.diffs), list(difference.replaces)) == (["sizeGib"], [])
    assert engine.update(made, larger).outputs == {**made.outputs, "sizeGib": 2}


def test_shrinking_is_refused_with_what_is_there_and_what_to_do(engine: Engine, tmp_path: Path) -> None:
    made = engine.create("Volume", inputs.volume(tmp_path, 2))
    with pytest.raises(Failed, match=r"weights has 2 GiB, 1 GiB were asked for: volumes never shrink. Ask for 2 GiB"):
        engine.diff(made, inputs.volume(tmp_path, 1))


def test_a_larger_one_that_was_found_is_no_reason_to_refuse(engine: Engine, tmp_path: Path) -> None:
    engine.create("Volume", inputs.volume(tmp_path, 2))
    adopted = engine.create("Volume", inputs.volume(tmp_path, 1))
    assert adopted.outputs["sizeGib"] == 2
    assert engine.diff(adopted, inputs.volume(tmp_path, 1)).changes == DiffResponse.DIFF_NONE


def test_another_name_is_refused_never_a_replacement(engine: Engine, tmp_path: Path) -> None:
    problems = engine.check("Volume", inputs.volume(tmp_path, name="other"), inputs.volume(tmp_path))
    assert problems["name"].startswith(
        "the volume is called 'weights', 'other' was asked for: volumes keep their names"
    )


def test_another_directory_of_the_account_changes_nothing(engine: Engine, tmp_path: Path) -> None:
    made = engine.create("Volume", inputs.volume(tmp_path))
    assert engine.diff(made, inputs.volume(tmp_path / "moved")).changes == DiffResponse.DIFF_NONE


def test_a_preview_makes_nothing_and_leaves_the_id_open(engine: Engine, tmp_path: Path) -> None:
    planned = engine.create("Volume", inputs.volume(tmp_path), preview=True)
    assert planned.outputs == {"volumeId": UNKNOWN, "handle": UNKNOWN, "name": "weights", "sizeGib": 1}
    assert list(tmp_path.iterdir()) == []


def test_a_preview_of_growing_grows_nothing(engine: Engine, tmp_path: Path) -> None:
    made = engine.create("Volume", inputs.volume(tmp_path, 1))
    planned = engine.update(made, inputs.volume(tmp_path, 2), preview=True)
    assert planned.outputs == {**made.outputs, "sizeGib": 2}
    assert engine.read(made) == made


def test_all_problems_are_told_at_once_by_property(engine: Engine) -> None:
    problems = engine.check("Volume", {"account": {"kind": "moon"}, "name": "W_", "sizeGib": -1, "size_gib": 3})
    assert problems == {
        "account": "Input tag 'moon' found using 'kind' does not match any of the expected tags: 'local', 'spheron', "
        "'verda', 'ssh'",
        "name": "String should match pattern '^[a-z0-9][a-z0-9-]{0,48}[a-z0-9]$', found 'W_'",
        "sizeGib": "Input should be greater than 0, found -1",
        "size_gib": "this is not known: check how it is spelt",
    }


def test_values_not_known_yet_are_taken_to_be_right(engine: Engine, tmp_path: Path) -> None:
    assert engine.check("Volume", inputs.volume(tmp_path) | {"sizeGib": UNKNOWN}) == {}


class Rigid(MemoryCloud):
    def grow_volume(self, volume_id: str, size_gib: int) -> Volume:
        raise VolumeInUse("detach it first")


def test_what_was_made_is_kept_when_growing_it_failed_and_the_next_diff_grows_it(tmp_path: Path) -> None:
    cloud = Rigid()
    with plugin_over(cloud) as engine:
        made = engine.create("Volume", inputs.volume(tmp_path, 1))
        with pytest.raises(Failed) as caught:
            engine.update(made, inputs.volume(tmp_path, 2))
        assert (caught.value.kept_id, caught.value.reasons) == (made.resource_id, ("detach it first",))
        assert caught.value.refresh_before_update
        recorded = Existing("Volume", made.resource_id, inputs.volume(tmp_path, 2), caught.value.outputs or {})
        assert list(engine.diff(recorded, inputs.volume(tmp_path, 2)).diffs) == ["sizeGib"]
        assert engine.diff(recorded, inputs.volume(tmp_path, 1)).changes == DiffResponse.DIFF_NONE


def test_a_refused_create_leaves_nothing_to_record(tmp_path: Path) -> None:
    cloud = MemoryCloud()
    cloud.fail(2, Fault.REFUSED)
    with plugin_over(cloud) as engine, pytest.raises(Failed, match="create_volume was refused") as caught:
        engine.create("Volume", inputs.volume(tmp_path))
    assert caught.value.kept_id == ""
