"""What a resource is told of the machine that is bought: what makes another machine, and what only the next one."""

from pathlib import Path
from typing import Any

import pytest
from pulumi.runtime.proto.provider_pb2 import DiffResponse

from tests.plugin import inputs
from tests.plugin.engine import Engine, Existing

SPHERON = {"kind": "spheron", "base_url": "https://app.spheron.ai", "api_key_variable": "SPHERON_API_KEY"}
SSH = {
    "kind": "ssh",
    "host": "gpu-1",
    "host_public_key": "ssh-ed25519 AAAA",
    "device": "/dev/vdb",
    "size_gib": 600,
}
BOUGHT: dict[str, Any] = {"wish": {"gpu": "H100", "gpuCount": 8, "sxm": True}, "market": "on_demand"}


def node(tmp_path: Path, account: dict[str, Any], /, **changes: object) -> dict[str, Any]:
    return inputs.node(tmp_path, "v-1", "8x-h100-sxm5") | BOUGHT | {"account": account} | changes


def volume(tmp_path: Path, account: dict[str, Any], /, **changes: object) -> dict[str, Any]:
    return inputs.volume(tmp_path) | {"account": account} | BOUGHT | changes


def running(asked: dict[str, Any]) -> Existing:
    return Existing("Node", "id-1", asked, {"nodeId": "id-1", "identity": "id-1", "ready": True})


@pytest.mark.parametrize(
    ("changes", "replaces"),
    [
        ({"market": "spot"}, ["market"]),
        ({"wish": {"gpu": "H100", "gpuCount": 4, "sxm": True}}, ["wish"]),
        ({"wish": {"gpu": "H200", "gpuCount": 8, "sxm": True}}, ["wish"]),
        ({"account": SPHERON | {"base_url": "https://spheron.example.com"}}, ["account"]),
    ],
)
def test_another_machine_is_a_replacement(
    engine: Engine, tmp_path: Path, changes: dict[str, Any], replaces: list[str]
) -> None:
    difference = engine.diff(running(node(tmp_path, SPHERON)), node(tmp_path, SPHERON, **changes))
    assert (list(difference.replaces), difference.deleteBeforeReplace) == (replaces, True)


@pytest.mark.parametrize(
    "changes",
    [
        {"maxUsdPerHour": 1},
        {"region": "FIN-02"},
        {"image": "Ubuntu 24.04"},
        {"account": SPHERON | {"api_key_variable": "OTHER_KEY"}},
    ],
)
def test_what_is_said_of_the_next_machine_changes_nothing_about_this_one(
    engine: Engine, tmp_path: Path, changes: dict[str, Any]
) -> None:
    difference = engine.diff(running(node(tmp_path, SPHERON)), node(tmp_path, SPHERON, **changes))
    assert difference.changes == DiffResponse.DIFF_NONE


def test_another_way_to_the_same_machine_is_an_update(engine: Engine, tmp_path: Path) -> None:
    difference = engine.diff(running(node(tmp_path, SSH)), node(tmp_path, SSH | {"host": "gpu-1.example.com"}))
    assert (list(difference.diffs), list(difference.replaces)) == (["account"], [])


def test_another_host_key_is_another_machine(engine: Engine, tmp_path: Path) -> None:
    difference = engine.diff(running(node(tmp_path, SSH)), node(tmp_path, SSH | {"host_public_key": "ssh-ed25519 B"}))
    assert list(difference.replaces) == ["account"]


def test_what_cannot_be_bought_is_refused_by_name(engine: Engine, tmp_path: Path) -> None:
    asked = node(tmp_path, SPHERON, maxUsdPerHour=0, market="auction", wish={"gpu": "", "gpuCount": 0})
    problems = engine.check("Node", asked)
    assert set(problems) == {"maxUsdPerHour", "market", "wish.gpu", "wish.gpuCount", "wish.sxm"}
    assert set(engine.check("Volume", volume(tmp_path, SPHERON, maxUsdPerHour=-1))) == {"maxUsdPerHour"}


@pytest.mark.parametrize(
    ("before", "after", "key"),
    [
        (SPHERON, {"kind": "verda"}, "kind"),
        (SPHERON, SPHERON | {"base_url": "https://spheron.example.com"}, "base_url"),
        (SPHERON, SPHERON | {"team_id": "team-2"}, "team_id"),
        (SSH, SSH | {"device": "/dev/vdc"}, "device"),
    ],
)
def test_a_volume_does_not_move(
    engine: Engine, tmp_path: Path, before: dict[str, Any], after: dict[str, Any], key: str
) -> None:
    problems = engine.check("Volume", volume(tmp_path, after), volume(tmp_path, before))
    assert list(problems) == [f"account.{key}"]
    assert "volumes do not move" in problems[f"account.{key}"]


def test_other_keys_and_another_address_do_not_move_a_volume(engine: Engine, tmp_path: Path) -> None:
    for before, change in ((SPHERON, {"api_key_variable": "OTHER_KEY"}), (SSH, {"host": "gpu-2"})):
        assert engine.check("Volume", volume(tmp_path, before | change), volume(tmp_path, before)) == {}
