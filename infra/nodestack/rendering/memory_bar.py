"""A GPU's memory as parts that lie one after another, for a bar of text and for a bar on a page."""

from dataclasses import dataclass
from typing import Literal

from nodestack.planning.result import RankBudget
from nodestack.rendering.units import words

Kind = Literal["weights", "overhead", "kv", "free", "lacking"]
BLOCKS = {"weights": "█", "overhead": "▓", "kv": "▒", "free": "░", "lacking": "x"}


@dataclass(frozen=True)
class Part:
    """A stretch of memory, in bytes.

    Attributes:
        name: What it holds.
        kind: What sort of thing that is; `lacking` is what does not fit.
        start_bytes: Where it begins.
        size_bytes: How long it is.
    """

    name: str
    kind: Kind
    start_bytes: int
    size_bytes: int


def parts(rank: RankBudget) -> list[Part]:
    """Return the parts of a GPU's memory in order: weights, overhead, KV cache or what lacks, what is left."""
    named: list[tuple[str, Kind, int]] = [(words(name), "weights", size) for name, size in rank.weights_bytes.items()]
    named.append(("overhead", "overhead", rank.overhead_bytes))
    if rank.kv_bytes >= 0:
        named.append(("KV cache", "kv", rank.kv_bytes))
    found, start = [], 0
    for name, kind, size in named:
        if size:
            found.append(Part(name, kind, start, size))
        start += size
    if rank.kv_bytes < 0:
        found.append(Part("lacking", "lacking", rank.usable_bytes, -rank.kv_bytes))
    left = rank.visible_bytes - rank.usable_bytes
    if left and rank.kv_bytes >= 0:
        found.append(Part("left to others", "free", rank.usable_bytes, left))
    return found


def extent_bytes(rank: RankBudget) -> int:
    """Return how long the bar is: the GPU, or more where what it should hold is more."""
    return max(rank.visible_bytes, rank.usable_bytes - min(rank.kv_bytes, 0))


def text_bar(part: Part, extent: int, width: int) -> str:
    """Return a part as a stretch of blocks at its place in a line of `width` characters; at least one block."""
    first = min(int(part.start_bytes / extent * width), width - 1)
    last = round((part.start_bytes + part.size_bytes) / extent * width)
    return " " * first + BLOCKS[part.kind] * max(last - first, 1)
