from pathlib import Path

import pytest

from nodestack.clouds.local import cgroups

PURE = "cgroup2 /sys/fs/cgroup cgroup2 rw,nosuid 0 0\nproc /proc proc rw 0 0\n"
HYBRID = (
    "cgroup /sys/fs/cgroup/memory cgroup rw,memory 0 0\n"
    "cgroup /sys/fs/cgroup/systemd cgroup rw,name=systemd 0 0\n"
    "cgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0\n"
)


@pytest.mark.parametrize(
    ("mounts", "root"),
    [(PURE, "/sys/fs/cgroup"), (HYBRID, "/sys/fs/cgroup/unified"), ("proc /proc proc rw 0 0\n", None)],
)
def test_the_unified_hierarchy_is_found_on_pure_and_hybrid_hosts(tmp_path: Path, mounts: str, root: str | None) -> None:
    (tmp_path / "mounts").write_text(mounts)
    assert cgroups.unified_root(tmp_path / "mounts") == (Path(root) if root else None)


def test_a_nodes_groups_are_removed_from_both_hierarchies_and_no_others(tmp_path: Path) -> None:
    unified, systemd = tmp_path / "unified", tmp_path / "systemd"
    for part in ("unified/nodestack-n-1/machine/payload", "unified/nodestack-n-2", "systemd/nodestack-n-1/machine"):
        (tmp_path / part).mkdir(parents=True)
    (tmp_path / "mounts").write_text(f"c {unified} cgroup2 rw 0 0\nc {systemd} cgroup rw,name=systemd 0 0\n")
    assert cgroups.clear("n-1", tmp_path / "mounts")
    assert sorted(path.name for path in (*unified.iterdir(), *systemd.iterdir())) == ["nodestack-n-2"]


def test_a_command_enters_its_group_before_it_starts(tmp_path: Path) -> None:
    assert cgroups.inside(tmp_path, ["true", "a b"])[-3:] == [str(tmp_path / "cgroup.procs"), "true", "a b"]
