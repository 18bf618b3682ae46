"""Finding the volume among virtiofs shares and NFS exports, as recorded /sys and /proc and a server tell of them."""

import pytest

from tests.playbooks.storage.nodes import MOUNT_POINT, ProbedNode

EXPORT = "10.0.0.5:/volumes/vol-77"


def left(node: ProbedNode) -> list[str]:
    return [path.name for path in (node.root / "run").iterdir()]


def test_an_empty_virtiofs_share_is_the_volume(node: ProbedNode) -> None:
    node.share("weights-vol", tag=True)

    found = node.found("--size-gib=600")

    assert (found["kind"], found["what"], found["file_system"], found["state"]) == (
        *("virtiofs", "weights-vol", "virtiofs"),
        "blank",
    )
    assert left(node) == []
    assert (node.shares / "../mounts.log").read_text().startswith("-t virtiofs -o ro,nodev,nosuid,noexec weights-vol ")


def test_a_marked_share_goes_before_an_empty_one(node: ProbedNode) -> None:
    node.share("empty", "lost+found", tag=True)
    node.share("marked", "weights", mark="nodestack", tag=True)
    assert (node.found()["what"], node.found()["state"]) == ("marked", "ours")


@pytest.mark.parametrize("mark", ["", "another"])
def test_a_share_with_anything_else_on_it_is_refused(node: ProbedNode, mark: str) -> None:
    node.share("home", *"abcdefg", mark=mark, tag=True)
    said = node.refused("--format")
    assert "home" in said
    assert "is neither empty nor marked nodestack; it holds" in said
    assert said.split("it holds ")[1].startswith("a, b, c, d, e and 2 more" if not mark else ".nodestack-volume, a")


def test_two_empty_shares_are_told_apart_by_the_tag_only(node: ProbedNode) -> None:
    node.share("vol-1", tag=True)
    node.share("vol-2", tag=True)
    assert "may be any of 2: vol-1" in node.refused()
    assert node.found("--handle=vol-2")["what"] == "vol-2"


def test_the_share_that_the_system_runs_from_is_never_taken(node: ProbedNode) -> None:
    node.share("root", mark="nodestack", tag=True)
    node.mounted("0:40", "/", "virtiofs", "root")
    assert "root is in use at /." in node.refused()
    assert "root is in use at /:" in node.refused("--handle=root")


def test_a_share_that_the_cloud_mounted_is_looked_at_where_it_is(node: ProbedNode) -> None:
    (node.root / "mnt/volume").mkdir(parents=True)
    node.mounted("0:41", "/mnt/volume", "nfs4", EXPORT)

    found = node.found()

    assert (found["kind"], found["what"], found["file_system"]) == ("nfs", EXPORT, "nfs")
    assert not (node.shares / "../mounts.log").exists()


def test_ours_is_found_again_where_we_mounted_it(node: ProbedNode) -> None:
    place = node.root / MOUNT_POINT.lstrip("/")
    place.mkdir(parents=True)
    (place / ".nodestack-volume").write_text("nodestack\n")
    node.mounted("0:42", MOUNT_POINT, "virtiofs", "weights-vol")
    assert node.found()["state"] == "ours"


def test_an_export_is_found_in_fstab_and_by_its_handle(node: ProbedNode) -> None:
    node.share(EXPORT)
    assert node.found(f"--handle={EXPORT}")["what"] == EXPORT

    (node.root / "etc/fstab").write_text(f"{EXPORT} /data nfs defaults,nofail 0 0\n")
    assert node.found()["what"] == EXPORT
    assert node.found("--handle=vol-77")["what"] == EXPORT
    assert "retry=0" in (node.shares / "../mounts.log").read_text()


def test_an_export_that_does_not_mount_is_told_with_the_helpers_words(node: ProbedNode) -> None:
    said = node.refused(f"--handle={EXPORT}")
    assert f"but {EXPORT} cannot be mounted (mount: {EXPORT}: no such share)" in said
    assert left(node) == []


def test_a_share_that_cannot_be_unmounted_is_told_and_nothing_of_it_is_removed(node: ProbedNode) -> None:
    share = node.share("vol-1", "weights", mark="nodestack", tag=True)
    (node.shares / "stuck").touch()
    assert "cannot be unmounted (umount: target is busy): unmount it by hand" in node.refused()
    (place,) = left(node)
    assert sorted(path.name for path in (node.root / "run" / place).iterdir()) == [".nodestack-volume", "weights"]
    assert (share / "weights").exists()


@pytest.mark.node
def test_an_empty_share_and_an_empty_disk_are_one_too_many(node: ProbedNode) -> None:
    node.share("vol-1", tag=True)
    node.disk("vdb", 1 << 30)
    assert "may be any of 2: /dev/vdb (1.0 GiB) is empty; vol-1" in node.refused("--size-gib=1", "--format")
    assert node.found("--size-gib=2")["what"] == "vol-1"
