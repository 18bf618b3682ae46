"""What is expected of a node: anything but exactly that passes nothing."""

import json
from pathlib import Path
from typing import Any

import pytest
from nodestack_fabric import NotUnderstood
from nodestack_fabric.expected import read

from tests.playbooks.fabric.conftest import H100, H200
from tests.playbooks.fabric.world import expected, four_h200


def written(directory: Path, document: object) -> Path:
    path = directory / "fabric.json"
    path.write_text(json.dumps(document))
    return path


def without(key: str) -> dict[str, Any]:
    return {name: value for name, value in H100.items() if name != key}


def test_what_the_role_writes_is_read(tmp_path: Path) -> None:
    assert read(written(tmp_path, H100)) == expected()
    assert read(written(tmp_path, H200)) == four_h200()


@pytest.mark.parametrize(
    "document",
    [
        {},
        [],
        None,
        *[without(key) for key in H100],
        {**H100, "tolerance": 1},
        {**H100, "gpu_count": 0},
        {**H100, "gpu_count": "8"},
        {**H100, "nvswitch": 1},
        {**H100, "nvlinks_per_gpu": True},
        {**H100, "busbw_floor": True},
        {**H100, "harmless_xids": "13"},
        {**H100, "harmless_xids": [True]},
    ],
)
def test_what_is_not_whole_is_refused(tmp_path: Path, document: object) -> None:
    with pytest.raises(NotUnderstood):
        read(written(tmp_path, document))


def test_a_file_that_is_not_there_or_no_json_is_refused_by_its_name(tmp_path: Path) -> None:
    path = tmp_path / "fabric.json"
    with pytest.raises(NotUnderstood, match=r"fabric\.json"):
        read(path)
    path.write_text("{")
    with pytest.raises(NotUnderstood, match=r"fabric\.json"):
        read(path)
