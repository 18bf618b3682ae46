"""Finding the volume among real block devices: taken is only what is surely ours, or surely blank and asked for."""

import hashlib
import os
import subprocess
import time
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.playbooks.storage.nodes import GIB, LABEL, MOUNT_POINT, ProbedNode, run

pytestmark = pytest.mark.node

SIZE = 64 << 20


def number(device: Path) -> str:
    seen = device.stat().st_rdev
    return f"{os.major(seen)}:{os.minor(seen)}"


def digest(device: Path) -> str:
    return hashlib.sha256(device.read_bytes()).hexdigest()


def ours(device: Path) -> Path:
    run("mkfs.ext4", "-q", "-L", LABEL, str(device))
    return device


def write(device: Path, offset: int, data: bytes) -> None:
    with device.open("r+b") as file:
        file.seek(offset)
        file.write(data)


def test_a_blank_disk_is_found_then_formatted_then_ours(node: ProbedNode) -> None:
    device = node.disk("vdb")
    before = digest(device)

    looked = node.found()
    assert (looked["kind"], looked["source"], looked["state"]) == ("block", "/dev/vdb", "blank")
    assert digest(device) == before

    assert node.found("--format")["state"] == "formatted"
    again = node.found("--format")
    assert (again["state"], again["what"], again["file_system"]) == ("ours", "/dev/vdb", "ext4")
    assert run("blkid", "-p", "-o", "value", "-s", "LABEL", str(device)).strip() == LABEL


def test_a_disk_that_was_found_is_mounted_by_what_survives_another_order_of_disks(node: ProbedNode) -> None:
    device = ours(node.disk("vdb"))
    (node.root / "run/udev").mkdir()
    (node.root / "run/udev/control").touch()
    uuid = run("blkid", "-p", "-o", "value", "-s", "UUID", str(device)).strip()

    assert node.found()["what"] == f"/dev/disk/by-uuid/{uuid}"
    assert node.found("--device=/dev/vdb")["what"] == "/dev/vdb"


def lvm(device: Path) -> None:
    rest = (32).to_bytes(4, "little") + b"LVM2 001" + b"a" * 32
    checked = ((32).to_bytes(4, "little") + b"LVM2 001" + b"a" * 32).ljust(492, b"\0")
    crc = zlib.crc32(checked, 0xF597A6CF ^ 0xFFFFFFFF) ^ 0xFFFFFFFF
    write(device, 512, b"LABELONE" + (1).to_bytes(8, "little") + crc.to_bytes(4, "little") + rest)


def raid(device: Path) -> None:
    block = bytearray(256)
    block[0:8] = (0xA92B4EFC).to_bytes(4, "little") + (1).to_bytes(4, "little")
    block[144:152] = (8).to_bytes(8, "little")
    write(device, 4096, bytes(block))


def partitions(device: Path) -> None:
    entry = bytes([0, 0, 2, 0, 0x83, 0, 0, 0]) + (2048).to_bytes(4, "little") + (65536).to_bytes(4, "little")
    write(device, 446, entry)
    write(device, 510, b"\x55\xaa")


def backup_table(device: Path) -> None:
    entries, last = bytes(128 * 128), SIZE // 512 - 1
    entries = b"\xaf=\xc6\x0f\x83\x84rG\x8ey=i\xd8G}\xe4" + b"u" * 16 + (2048).to_bytes(8, "little") + entries[40:]
    places = b"".join(place.to_bytes(8, "little") for place in (last, 1, 34, last - 33))
    table = (last - 32).to_bytes(8, "little") + (128).to_bytes(4, "little") * 2
    table += zlib.crc32(entries).to_bytes(4, "little")
    start, zero = b"EFI PART" + (0x10000).to_bytes(4, "little") + (92).to_bytes(4, "little"), bytes(4)
    crc = zlib.crc32(start + zero * 2 + places + b"g" * 16 + table).to_bytes(4, "little")
    write(device, (last - 32) * 512, entries)
    write(device, last * 512, start + crc + zero + places + b"g" * 16 + table)


FOREIGN: dict[str, tuple[Callable[[Path], object], str]] = {
    "another label": (lambda device: run("mkfs.ext4", "-q", "-L", "data", str(device)), "it holds LABEL=data"),
    "no label": (lambda device: run("mkfs.ext4", "-q", str(device)), "TYPE=ext4"),
    "our label on swap": (lambda device: run("mkswap", "-L", LABEL, str(device)), "TYPE=swap"),
    "partitions": (partitions, "PTTYPE=dos"),
    "LVM": (lvm, "TYPE=LVM2_member"),
    "RAID": (raid, "TYPE=linux_raid_member"),
    "encrypted": (lambda device: write(device, 0, b"LUKS\xba\xbe\x00\x02"), "TYPE=crypto_LUKS"),
    "a backup table only": (backup_table, "signatures: "),
    "a byte at its start": (lambda device: write(device, 777_777, b"x"), "data without a signature in its first MiB"),
    "a byte at its end": (lambda device: write(device, SIZE - 5, b"x"), "data without a signature in its last MiB"),
}


@pytest.mark.parametrize("what", FOREIGN)
def test_what_holds_anything_else_is_neither_taken_nor_changed(node: ProbedNode, what: str) -> None:
    make, said = FOREIGN[what]
    device = node.disk("vdb", SIZE)
    make(device)
    before = digest(device)

    searched, named = node.refused("--format"), node.refused("--format", "--device=/dev/vdb")

    assert searched.startswith(
        "The weights volume is not on this node. There is: /dev/vdb (0.1 GiB) is neither empty nor labelled nodestack"
    )
    assert named.startswith("The weights volume /dev/vdb is neither empty nor labelled nodestack; it holds ")
    assert said in searched
    assert said in named
    assert digest(device) == before


def used_by_root(node: ProbedNode, device: Path) -> None:
    node.mounted(number(device), "/")


def used_by_several(node: ProbedNode, device: Path) -> None:
    # btrfs mounts have a number of their own: the source tells the disk.
    node.mounted("0:77", "/var", "btrfs", "/dev/vdb")


def partition_mounted(node: ProbedNode, device: Path) -> None:
    node.describe("vdb1", "259:7", below="vdb", partition="1")
    node.mounted("259:7", "/boot")


def mapped(node: ProbedNode, device: Path) -> None:
    node.describe("dm-0", "253:9", below="vdb/holders")


def mapped_and_mounted(node: ProbedNode, device: Path) -> None:
    partition = node.describe("vdb1", "259:7", below="vdb", partition="1")
    node.describe("dm-0", "253:9", below=f"{partition.relative_to(node.root / 'sys/devices')}/holders")
    node.mounted("253:9", "/home")


def swapped_to(node: ProbedNode, device: Path) -> None:
    with (node.root / "proc/swaps").open("a") as file:
        file.write("/dev/vdb\tpartition\t1048572\t0\t-2\n")


def kept(node: ProbedNode, device: Path) -> None:
    (node.root / "etc/fstab").write_text("# disks\n/dev/vdb /mnt/scratch auto defaults,nofail 0 2\n")


def read_only(node: ProbedNode, device: Path) -> None:
    (node.root / "sys/devices/vdb/ro").write_text("1\n")


USES: dict[str, tuple[Callable[[ProbedNode, Path], None], str]] = {
    "boot disk": (used_by_root, "is in use at /"),
    "one of several disks": (used_by_several, "is in use at /var"),
    "partition": (partition_mounted, "is in use at /boot"),
    "mapper": (mapped, "is in use by dm-0"),
    "mapper on a partition": (mapped_and_mounted, "is in use at /home"),
    "swap": (swapped_to, "is in use as swap"),
    "fstab": (kept, "is kept for /mnt/scratch by /etc/fstab"),
    "read-only": (read_only, "is read-only"),
}


@pytest.mark.parametrize("content", ["blank", "ours"])
@pytest.mark.parametrize("use", USES)
def test_a_disk_in_use_is_never_taken_whatever_is_on_it(node: ProbedNode, use: str, content: str) -> None:
    record, said = USES[use]
    device = node.disk("vdb", serial="vol-0123456789")
    if content == "ours":
        ours(device)
    record(node, device)
    before = digest(device)

    assert f"/dev/vdb (0.1 GiB) {said}" in node.refused("--format")
    assert f"/dev/vdb (0.1 GiB) {said}" in node.refused("--format", "--handle=vol-0123456789")
    assert f"The weights volume /dev/vdb {said}: it is not the volume" in node.refused("--format", "--device=/dev/vdb")
    assert digest(device) == before


def test_a_removable_disk_is_taken_by_name_only(node: ProbedNode) -> None:
    node.disk("sdb", removable="1", serial="vol-0123456789")
    assert "/dev/sdb (0.1 GiB) is a removable medium" in node.refused("--handle=vol-0123456789", "--format")
    assert node.found("--device=/dev/sdb", "--format")["state"] == "formatted"


def test_a_disk_that_another_namespace_mounts_is_in_use(node: ProbedNode, tmp_path: Path) -> None:
    device, place = ours(node.disk("vdb")), tmp_path / "place"
    place.mkdir()
    command = [
        "unshare",
        "--mount",
        "sh",
        "-c",
        'mount "$0" "$1" && echo mounted && read line',
        str(device),
        str(place),
    ]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "mounted\n"
        assert "is in use by another namespace or by the kernel" in node.refused()
        other.communicate("\n")


def test_ours_stays_ours_where_it_is_mounted_but_not_elsewhere_too(node: ProbedNode) -> None:
    device = ours(node.disk("vdb"))
    node.mounted(number(device), MOUNT_POINT)
    assert node.found()["state"] == "ours"

    node.mounted(number(device), "/mnt/with\\040space")
    assert "is in use at /mnt/with space" in node.refused()


def test_ours_goes_before_a_blank_one_of_the_size_asked_for(node: ProbedNode) -> None:
    ours(node.disk("vdb"))
    node.disk("vdc", GIB)
    assert node.found("--size-gib=1")["source"] == "/dev/vdb"


def test_two_that_fit_are_both_named_and_neither_is_taken(node: ProbedNode) -> None:
    devices = [node.disk("vdb", GIB), node.disk("vdc", GIB)]
    said = node.refused("--size-gib=1", "--format")
    assert said == (
        "The weights volume (1 GiB) may be any of 2: /dev/vdb (1.0 GiB) is empty; /dev/vdc (1.0 GiB) is empty. "
        "Detach all but the volume, or name its device"
    )
    assert not any(run("wipefs", "--no-act", str(device)) for device in devices)


def test_two_that_are_ours_are_refused(node: ProbedNode) -> None:
    ours(node.disk("vdb"))
    ours(node.disk("vdc"))
    assert "may be any of 2: /dev/vdb (0.1 GiB) is labelled nodestack; /dev/vdc" in node.refused()


def test_the_clouds_handle_tells_two_apart(node: ProbedNode) -> None:
    node.disk("vdb", GIB, serial="scratch-0")
    node.disk("vdc", GIB, serial="vol-77")
    assert node.found("--handle=vol-77")["source"] == "/dev/vdc"


def test_a_blank_volume_is_not_formatted_while_weights_are_on_another(node: ProbedNode) -> None:
    ours(node.disk("vdb"))
    node.disk("vdc", serial="vol-77")
    assert "may be any of 2" in node.refused("--handle=vol-77", "--format")


@pytest.mark.parametrize(
    ("handle", "described"),
    [
        ("6f1c2f3e-8a0b-4f0e-9d53-5f3a2b1c0d9e", {"serial": "6f1c2f3e-8a0b-4f0e-9"}),
        ("vol-0abc123def456", {"device__serial": "vol0abc123def456"}),
        ("volume-4711", {"device__vpd_pg83": "\x00\x83\x00\x10\x02\x01\x00\x0c0HC_Volume-4711"}),
        ("volume-4711", {"wwid": "t10.ATA volume-4711"}),
    ],
)
def test_disks_keep_a_handle_in_their_own_ways(node: ProbedNode, handle: str, described: dict[str, str]) -> None:
    node.disk("vdb", GIB, serial="other")
    node.disk("vdc", GIB, **described)
    assert node.found(f"--handle={handle}")["source"] == "/dev/vdc"


def test_a_handle_that_is_nearly_a_serial_number_is_not_it(node: ProbedNode) -> None:
    node.disk("vdb", GIB, serial="vol-7")
    node.disk("vdc", GIB, serial="vol-7")
    assert "may be any of 2" in node.refused("--handle=vol-77")


@pytest.mark.parametrize(
    ("size_bytes", "fits"), [(10**12, True), (1001 * GIB, True), (900 * GIB, False), (3840 * 10**9, False)]
)
def test_a_blank_disk_must_have_the_size_asked_for(node: ProbedNode, size_bytes: int, fits: bool) -> None:
    node.disk("nvme0n1", size_bytes)
    if fits:
        assert node.found("--size-gib=1000")["source"] == "/dev/nvme0n1"
    else:
        assert "is empty, but has another size" in node.refused("--size-gib=1000", "--format")


def test_ours_may_have_any_size_since_it_may_have_grown(node: ProbedNode) -> None:
    ours(node.disk("vdb"))
    assert node.found("--size-gib=1000")["state"] == "ours"


def test_a_large_volume_gets_few_inodes_and_a_small_one_the_usual(node: ProbedNode) -> None:
    counts = {}
    for name, size_bytes in (("vdb", GIB), ("vdc", 300 * GIB)):
        device = node.disk(name, size_bytes)
        assert node.found(f"--device=/dev/{name}", "--format")["state"] == "formatted"
        superblock = run("dumpe2fs", "-h", str(device))
        counts[name] = int(superblock.split("Inode count:")[1].split()[0])
        assert "Reserved block count:     0\n" in superblock
    assert counts["vdb"] == 65536
    assert counts["vdc"] == 300 * GIB >> 18


def test_partitions_loops_and_links_are_no_candidates(node: ProbedNode) -> None:
    device = node.disk("loop77")
    (node.root / "dev/volume").symlink_to(device)
    os.mknod(node.root / "dev/vdb1", 0o060660, os.makedev(259, 7))
    node.describe("vdb1", "259:7", below="vdb", partition="1")
    assert node.refused() == (
        "The weights volume is not on this node. There is: no disk, virtiofs share or NFS export at all. "
        "Attach the volume, or name its device"
    )


def test_a_volume_that_is_still_being_attached_is_waited_for(node: ProbedNode) -> None:
    with node.start("--size-gib=1", "--wait-s=30") as program:
        time.sleep(1)
        assert program.poll() is None
        node.disk("vdb", GIB)
        printed, complaint = program.communicate(timeout=20)
    assert complaint == ""
    assert '"source": "/dev/vdb"' in printed


@pytest.mark.parametrize("prober", ["blkid", "wipefs"])
def test_a_disk_whose_prober_fails_is_not_taken_for_blank(node: ProbedNode, prober: str) -> None:
    node.disk("vdb")
    (node.programs / prober).write_text("#!/bin/sh\necho cannot >&2\nexit 4\n")
    (node.programs / prober).chmod(0o755)
    assert f"it holds what {prober} cannot tell (cannot)" in node.refused("--format")


def test_a_program_that_is_missing_is_named(node: ProbedNode) -> None:
    node.disk("vdb")
    node.path = str(node.programs)
    assert node.refused() == "blkid cannot be run (No such file or directory): install it on this node"
