"""Which candidate is the weights volume: surely one of them, or none."""

from collections.abc import Sequence
from typing import NamedTuple

from nodestack_storage import Candidate, Refused

# Clouds sell GB as well as GiB (10^9 bytes are 0.93 GiB), and round up to whole blocks.
_LEAST_SHARE, _MOST_SHARE = 0.92, 1.02
_SURE_LENGTH = 8


class Wish(NamedTuple):
    """What is known of the volume beforehand: its size in GiB, 0 for unknown, and the cloud's handle, "" for none."""

    size_gib: int = 0
    handle: str = ""

    def __str__(self) -> str:
        known = [f"{self.size_gib} GiB"] if self.size_gib else []
        known += [f"which the cloud calls {self.handle}"] if self.handle else []
        return f"The weights volume ({', '.join(known)})" if known else "The weights volume"


def choose(candidates: Sequence[Candidate], wish: Wish) -> Candidate | None:
    """Return the one candidate that is the volume, or None where none may be it yet.

    One that the cloud's handle names goes first, one that is ours second, a blank one of the size asked for last.

    Raises:
        Refused: Two may be it, or the one that must be it is unfit.
    """
    named = [candidate for candidate in candidates if is_called(candidate, wish.handle)]
    ours = [candidate for candidate in candidates if candidate.state == "ours"]
    blank = [candidate for candidate in candidates if candidate.state == "blank" and has_size(candidate, wish)]
    may_be = [*named, *(candidate for candidate in ours if candidate not in named)] if named else ours or blank
    if len(may_be) > 1:
        raise Refused(
            f"{wish} may be any of {len(may_be)}: {_listed(may_be)}. Detach all but the volume, or name its device"
        )
    if may_be and may_be[0].state == "unfit":
        raise Refused(
            f"{wish} is {may_be[0].source}, but {may_be[0]}: attach the right volume, or empty this one yourself"
        )
    return may_be[0] if may_be else None


def none_fits(candidates: Sequence[Candidate], wish: Wish) -> Refused:
    """Return the refusal that says of each candidate why it is not the volume."""
    told = [
        f"{candidate}, but has another size" if candidate.state == "blank" else str(candidate)
        for candidate in candidates
    ]
    there = "; ".join(told) or "no disk, virtiofs share or NFS export at all"
    return Refused(f"{wish} is not on this node. There is: {there}. Attach the volume, or name its device")


def is_called(candidate: Candidate, handle: str) -> bool:
    """Return whether one of a candidate's names is the cloud's handle, as far as disks keep it: 20 characters."""
    wanted = _plain(handle)
    if not wanted:
        return False
    for name in map(_plain, candidate.names):
        shortened = len(name) >= _SURE_LENGTH and wanted.startswith(name)
        within = len(wanted) >= _SURE_LENGTH and wanted in name
        if name == wanted or shortened or within:
            return True
    return False


def has_size(candidate: Candidate, wish: Wish) -> bool:
    """Return whether a candidate is as large as asked for; shares tell the size of what they are a part of."""
    if candidate.kind != "block" or not wish.size_gib:
        return True
    return _LEAST_SHARE <= candidate.size_bytes / (wish.size_gib << 30) <= _MOST_SHARE


def _plain(name: str) -> str:
    return name.lower().replace("-", "").replace("_", "")


def _listed(candidates: Sequence[Candidate]) -> str:
    return "; ".join(map(str, candidates))
