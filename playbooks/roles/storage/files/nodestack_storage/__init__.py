"""Finds the weights volume on a node, and formats it when nothing at all is on it; needs Python and util-linux only."""

import dataclasses
import subprocess
from typing import Literal

_COMMAND_TIMEOUT_S = 120.0
_FORMATTING_TIMEOUT_S = 1800.0

Kind = Literal["block", "virtiofs", "nfs"]
State = Literal["ours", "blank", "unfit"]


class Refused(Exception):
    """No volume can be taken for sure; the message names what there is and what to do."""


@dataclasses.dataclass(frozen=True)
class Candidate:
    """A place that may be the weights volume, and what was seen of it.

    Attributes:
        kind: How it appears on the node.
        source: What a mount takes: path of a device, tag of a virtiofs share, host:/path of an export.
        state: "ours" carries our label or mark, "blank" holds nothing at all, "unfit" is never taken.
        why: What it is like, as the end of a sentence that begins with its source.
        size_bytes: Its size; 0 where a share does not say.
        names: What the cloud may call it: serial numbers, tag, export.
        uuid: The file system's; "" where there is none.
    """

    kind: Kind
    source: str
    state: State
    why: str
    size_bytes: int = 0
    names: tuple[str, ...] = ()
    uuid: str = ""

    def __str__(self) -> str:
        size = f" ({self.size_bytes / 2**30:.1f} GiB)" if self.size_bytes else ""
        return f"{self.source}{size} {self.why}"


def command(*words: str) -> "subprocess.CompletedProcess[str]":
    """Run a program to its end; one that is missing or hangs is refused."""
    limit_s = _FORMATTING_TIMEOUT_S if words[0].startswith("mkfs") else _COMMAND_TIMEOUT_S
    try:
        return subprocess.run(
            words,
            capture_output=True,
            check=False,
            text=True,
            errors="replace",
            timeout=limit_s,
            stdin=subprocess.DEVNULL,
        )
    except subprocess.TimeoutExpired as error:
        raise Refused(f"{words[0]} did not end within {limit_s:g} s: look at the kernel's log of this node") from error
    except OSError as error:
        raise Refused(f"{words[0]} cannot be run ({error.strerror}): install it on this node") from error
