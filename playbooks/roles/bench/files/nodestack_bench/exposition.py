"""What an engine says at /metrics: counters and histograms, and the share of a histogram below a value."""

import math
import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

_SAMPLE = re.compile(r"^([A-Za-z_:][A-Za-z0-9_:]*)(?:\{(.*)\})? (\S+)")
_LABEL = re.compile(r'([A-Za-z_][A-Za-z0-9_]*)="((?:[^"\\]|\\.)*)"')


class Bucket(NamedTuple):
    """How many requests were at most so large; `at_most` is infinite in the last."""

    at_most: float
    requests: float


class Quantile(NamedTuple):
    """A quantile of a histogram.

    Attributes:
        value: Interpolated within its bucket, as Prometheus does.
        more_than: Lower bound of that bucket.
        at_most: Upper bound of that bucket, infinite in the last: the quantile itself is never above it.
    """

    value: float
    more_than: float
    at_most: float


def counter(text: str, name: str, **labels: str) -> float:
    """Return the sum of a metric's samples that have these labels."""
    return sum(value for found, value in _samples(text, name) if labels.items() <= found.items())


def histogram(text: str, name: str) -> list[Bucket]:
    """Return a histogram's buckets, those of all its series added up, smallest first; empty where it is not there."""
    counts: dict[float, float] = {}
    for labels, value in _samples(text, f"{name}_bucket"):
        bound = float(labels["le"].replace("+Inf", "inf"))
        counts[bound] = counts.get(bound, 0.0) + value
    return [Bucket(bound, counts[bound]) for bound in sorted(counts)]


def without(buckets: Sequence[Bucket], sizes: Iterable[tuple[float, int]]) -> list[Bucket]:
    """Return a histogram without some of what it counted.

    Args:
        buckets: The histogram.
        sizes: What to leave out: a size, and how many there were of it.
    """
    left_out = list(sizes)
    return [
        Bucket(at_most, max(0.0, count - sum(many for size, many in left_out if size <= at_most)))
        for at_most, count in buckets
    ]


def quantile(buckets: Sequence[Bucket], share: float) -> Quantile:
    """Return the value that a share of all does not exceed.

    >>> quantile([Bucket(10, 50), Bucket(20, 100), Bucket(math.inf, 100)], 0.95)
    Quantile(value=19.0, more_than=10, at_most=20)

    Raises:
        ValueError: The histogram is empty.
    """
    total = buckets[-1].requests if buckets else 0
    if total <= 0:
        raise ValueError("the histogram is empty")
    rank, below, so_far = share * total, 0.0, 0.0
    for at_most, count in buckets:
        if count >= rank:
            if math.isinf(at_most):
                return Quantile(below, below, at_most)
            return Quantile(below + (at_most - below) * (rank - so_far) / (count - so_far), below, at_most)
        below, so_far = at_most, count
    raise ValueError("the last bucket counts less than all")


def _samples(text: str, name: str) -> Iterable[tuple[dict[str, str], float]]:
    for line in text.splitlines():
        # A comparison first: a page of metrics has thousands of lines.
        if line.startswith(name) and (sample := _SAMPLE.match(line)) and sample[1] == name:
            yield dict(_LABEL.findall(sample[2] or "")), float(sample[3])
