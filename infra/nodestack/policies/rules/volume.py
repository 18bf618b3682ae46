"""Where the weights lie: on a volume that holds them."""

from collections.abc import Iterator

from nodestack.policies.facts import Given
from nodestack.policies.rule import NoTerms, Rule


class Sized(Given):
    """How large it is, and what it has to hold."""

    volume_size_gib: float
    disk_need_gib: float


def large_enough(given: Sized, _: NoTerms) -> Iterator[str]:
    """Yield by how much a volume is too small."""
    if given.volume_size_gib < given.disk_need_gib:
        yield (
            f"the weights volume has {given.volume_size_gib:g} GiB, weights, engine and caches need "
            f"{given.disk_need_gib:.1f} GiB"
        )


RULES = (Rule("volume-large-enough", Sized, NoTerms, large_enough),)
