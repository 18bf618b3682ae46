"""What the kernel's log says of the GPUs and NVSwitches since boot."""

import re
from collections.abc import Iterator

from nodestack_fabric import NotUnderstood
from nodestack_fabric.entries import Entry, Fault, compared
from nodestack_fabric.expected import Expected

XID_REMEDY = "ask the provider to reset or replace this GPU"
SXID_REMEDY = "reboot; if it comes back, ask the provider to check this node's NVSwitches"
LOST_REMEDY = "ask the provider to check power and seating of this GPU, or to replace the node"
_XID = re.compile(r"NVRM: Xid \(PCI:([0-9a-fA-F:.]+)\): (\d+)(?:,|$)")
_SXID = re.compile(r"nvidia-nvswitch\d+: SXid \(PCI:([0-9a-fA-F:.]+)\): 0*(\d+), (.*)")
# Lines that go on about an error that was told of before.
_SXID_DETAIL = re.compile(r"Severity \d|Data \{")
_LOST = re.compile(r"NVRM:.*fallen off the bus")
_ADDRESS = re.compile(r"[0-9a-fA-F]{4,8}:[0-9a-fA-F]{2}:[0-9a-fA-F]{2}(?:\.[0-9])?")


def judge(text: str, expected: Expected) -> list[Entry]:
    """Judge Xid errors but for those that a program alone can cause, fatal errors of NVSwitches, and lost GPUs.

    Raises:
        NotUnderstood: An Xid or SXid line has another form than is known.
    """
    lines = text.splitlines()
    xids = [fault for fault, number in _xids(lines) if number not in expected.harmless_xids]
    lost = [(f"on {where}", "fallen off the bus") for where in _lost(lines)]
    entries = compared("Xid errors", "none", _once(xids), XID_REMEDY)
    entries += compared("NVSwitch errors", "none", _once(_sxids(lines)), SXID_REMEDY)
    return entries + compared("lost GPUs", "none", _once(lost), LOST_REMEDY)


def _once(faults: list[Fault]) -> list[Fault]:
    return list(dict.fromkeys(faults))


def _xids(lines: list[str]) -> Iterator[tuple[Fault, int]]:
    for line in lines:
        if "NVRM: Xid" not in line:
            continue
        xid = _XID.search(line)
        if xid is None:
            raise NotUnderstood(f"the kernel's line {line[:200]!r}")
        yield (f"on {xid[1]}", f"Xid {xid[2]}"), int(xid[2])


def _sxids(lines: list[str]) -> list[Fault]:
    """Return the fatal ones: the fabric manager itself deals with the others."""
    faults = []
    for line in lines:
        if "SXid" not in line:
            continue
        sxid = _SXID.search(line)
        if sxid is None or not (sxid[3].startswith(("Fatal", "Non-fatal")) or _SXID_DETAIL.match(sxid[3])):
            raise NotUnderstood(f"the kernel's line {line[:200]!r}")
        if sxid[3].startswith("Fatal"):
            faults.append((f"on {sxid[1]}", f"SXid {sxid[2]}"))
    return faults


def _lost(lines: list[str]) -> Iterator[str]:
    """Return where GPUs were lost; such lines may come without an Xid, and with the address on a line before."""
    last = "an unknown address"
    for line in lines:
        address = _ADDRESS.search(line) if "NVRM" in line else None
        last = address[0] if address else last
        if _LOST.search(line) and "Xid" not in line:
            yield last
