import os
from pathlib import Path

import pytest

from nodestack.clouds.base import LocalAccount
from nodestack.clouds.local import LocalCloud, cgroups, disk, host
from nodestack.clouds.local.host import preflight
from nodestack.errors import HostUnsuitable


def test_a_user_who_is_not_root_is_told_so_before_anything_is_made(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(HostUnsuitable, match=r"only root may start, and this is user 1000: run as root \(sudo -E\)"):
        LocalCloud(LocalAccount(directory=str(tmp_path / "account"))).preflight()
    assert not (tmp_path / "account").exists()


def test_all_that_is_missing_is_named_in_one_line_with_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(disk, "LOOP_CONTROL", tmp_path / "loop-control")
    monkeypatch.setattr(cgroups, "unified_root", lambda: None)
    with pytest.raises(HostUnsuitable) as refused:
        preflight(tmp_path)
    message = str(refused.value)
    assert "\n" not in message
    assert "apt-get install systemd-container mmdebstrap slirp4netns" in message
    assert "modprobe loop" in message
    assert "no cgroup2 mount" in message


@pytest.mark.node
def test_this_machine_holds_nodes_but_not_in_a_directory_that_cannot_be_made(tmp_path: Path) -> None:
    preflight(tmp_path / "account")
    with pytest.raises(HostUnsuitable, match="the account's directory /proc/account cannot be made"):
        preflight(Path("/proc/account"))


@pytest.mark.node
def test_a_kernel_that_refuses_the_trial_is_named_with_its_reason(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(host, "TRIAL", "echo overlay: wrong fs type >&2; exit 32")
    with pytest.raises(HostUnsuitable, match=r"trying an overlay mount .*: overlay: wrong fs type .*--privileged"):
        preflight(tmp_path)
    assert list(tmp_path.iterdir()) == []
