from pathlib import Path

import pytest

from nodestack.clouds.local import disk


def test_the_devices_of_a_file_are_told_from_those_of_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ours = tmp_path / "a volume.img"
    for number, backing in enumerate((ours, tmp_path / "other.img")):
        attribute = tmp_path / "block" / f"loop{number}" / "loop" / "backing_file"
        attribute.parent.mkdir(parents=True)
        attribute.write_text(f"{backing}\n")
    monkeypatch.setattr(disk, "BLOCK_DEVICES", tmp_path / "block")
    assert disk.devices_of(ours) == [Path("/dev/loop0")]


@pytest.mark.node
def test_a_loop_device_goes_away_with_its_last_user_and_grows_with_its_file(tmp_path: Path) -> None:
    file = tmp_path / "a volume.img"
    file.write_bytes(bytes(1 << 20))
    attached = disk.attach(file)
    assert disk.devices_of(file) == [attached.device]
    with file.open("r+b") as grown:
        grown.truncate(2 << 20)
    disk.refresh_size(file)
    assert (disk.BLOCK_DEVICES / attached.device.name / "size").read_text().strip() == str((2 << 20) // 512)
    attached.close()
    assert disk.devices_of(file) == []
