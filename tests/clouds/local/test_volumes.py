import os
from pathlib import Path

import pytest

from nodestack.clouds.base import VolumeRequest
from nodestack.clouds.local.volumes import GIB, Volumes
from nodestack.errors import AmbiguousError, CloudError, VolumeInUse


@pytest.fixture
def volumes(tmp_path: Path) -> Volumes:
    return Volumes(tmp_path / "volumes", lambda volume_id: None)


def weights(size_gib: int = 1) -> VolumeRequest:
    return VolumeRequest(name="weights", size_gib=size_gib)


def test_a_volume_is_found_again_by_name_and_by_id(volumes: Volumes) -> None:
    made = volumes.create(weights())
    assert volumes.find("weights") == volumes.read(made.volume_id) == made
    assert volumes.find("other") is None


def test_a_volume_takes_the_disk_only_as_it_is_written(volumes: Volumes) -> None:
    file = volumes.file(volumes.create(weights()).volume_id)
    assert file.stat().st_size == GIB
    assert file.stat().st_blocks == 0


def test_a_new_volume_of_an_old_name_has_another_id(volumes: Volumes) -> None:
    first = volumes.create(weights())
    volumes.delete(first.volume_id)
    second = volumes.create(weights())
    assert second.volume_id != first.volume_id
    assert volumes.read(first.volume_id) is None


def test_a_name_is_given_once(volumes: Volumes) -> None:
    volumes.create(weights())
    with pytest.raises(CloudError, match="volume weights exists: adopt it"):
        volumes.create(weights())


def test_a_volume_grows_and_keeps_what_is_on_it(volumes: Volumes) -> None:
    made = volumes.create(weights())
    with volumes.file(made.volume_id).open("r+b") as file:
        file.write(b"weights")
    grown = volumes.grow(made.volume_id, 2)
    assert grown == made.model_copy(update={"size_gib": 2}) == volumes.find("weights")
    assert volumes.file(made.volume_id).stat().st_size == 2 * GIB
    with volumes.file(made.volume_id).open("rb") as file:
        assert file.read(7) == b"weights"


def test_a_volume_never_shrinks(volumes: Volumes) -> None:
    made = volumes.create(weights(2))
    with pytest.raises(CloudError, match="has 2 GiB, 1 GiB were asked for: volumes only grow"):
        volumes.grow(made.volume_id, 1)
    assert volumes.file(made.volume_id).stat().st_size == 2 * GIB


def test_more_than_the_hosts_disk_has_is_refused_with_needed_and_free(volumes: Volumes, tmp_path: Path) -> None:
    with pytest.raises(CloudError, match=r"100000 GiB may come to need 100000\.0 GiB more.*[\d.]+ GiB are free"):
        volumes.create(weights(100_000))
    assert volumes.find("weights") is None


def test_what_a_volume_occupies_already_is_not_needed_again(
    volumes: Volumes, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    made = volumes.create(weights())
    with volumes.file(made.volume_id).open("r+b") as file:
        os.posix_fallocate(file.fileno(), 0, 64 << 20)
    free = {"total": GIB, "used": 0, "free": 2 * GIB - (64 << 20)}
    monkeypatch.setattr("shutil.disk_usage", lambda path: type("Usage", (), free))
    assert volumes.grow(made.volume_id, 2).size_gib == 2


def test_a_volume_in_use_is_not_deleted(tmp_path: Path) -> None:
    volumes = Volumes(tmp_path, lambda volume_id: "node-1")
    made = volumes.create(weights())
    with pytest.raises(VolumeInUse, match="attached to node node-1: delete that node first"):
        volumes.delete(made.volume_id)
    assert volumes.file(made.volume_id).exists()


def test_deleting_what_is_gone_is_no_error(volumes: Volumes) -> None:
    made = volumes.create(weights())
    volumes.delete(made.volume_id)
    volumes.delete(made.volume_id)


def test_a_deletion_that_was_killed_in_the_middle_is_finished(volumes: Volumes) -> None:
    made = volumes.create(weights())
    file = volumes.file(made.volume_id)
    file.rename(file.with_name(f"{made.volume_id}.deleted"))

    assert volumes.find("weights") is None
    volumes.delete(made.volume_id)
    assert sorted(path.name for path in file.parent.iterdir()) == ["weights.lock"]


def test_a_creation_that_was_killed_in_the_middle_can_be_repeated(volumes: Volumes) -> None:
    made = volumes.create(weights())
    volumes.file(made.volume_id).with_suffix(".json").unlink()
    assert volumes.find("weights") is None
    assert volumes.create(weights()).size_gib == 1


def test_data_nobody_recorded_is_never_overwritten(volumes: Volumes) -> None:
    made = volumes.create(weights())
    file = volumes.file(made.volume_id)
    file.with_suffix(".json").unlink()
    file.write_bytes(b"weights" * 1000)
    with pytest.raises(AmbiguousError, match="holds data but no record names it"):
        volumes.create(weights())
    assert file.read_bytes() == b"weights" * 1000


def test_a_record_without_its_file_is_ambiguous_and_not_gone(volumes: Volumes) -> None:
    made = volumes.create(weights())
    volumes.file(made.volume_id).unlink()
    with pytest.raises(AmbiguousError, match=r"is recorded but .* is missing"):
        volumes.find("weights")


def test_a_record_that_is_not_ours_is_ambiguous_and_not_gone(volumes: Volumes) -> None:
    made = volumes.create(weights())
    volumes.file(made.volume_id).with_suffix(".json").write_text("{}")
    with pytest.raises(AmbiguousError, match="is not what the local cloud wrote"):
        volumes.read(made.volume_id)
