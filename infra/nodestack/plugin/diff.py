"""What changed between two sets of inputs, by path, and what that means for a resource."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from pulumi.runtime.proto.provider_pb2 import DiffResponse, PropertyDiff

from nodestack.plugin.properties import Plain, Properties

_MISSING = object()


@dataclass(frozen=True)
class Difference:
    """What an update would change.

    Attributes:
        updates: Paths that are changed in place, e.g. "document.vllm_options".
        replaces: Paths whose change needs the resource to be deleted and made anew.
        observed: Names of outputs that are not as they should be; changed in place.
    """

    updates: tuple[str, ...] = ()
    replaces: tuple[str, ...] = ()
    observed: tuple[str, ...] = ()

    def response(self) -> DiffResponse:
        """Return the answer to Diff. Replaced is always deleted first: names are exact, two cannot exist."""
        kinds = {
            **{path: PropertyDiff(kind=PropertyDiff.UPDATE, inputDiff=True) for path in self.updates},
            **{path: PropertyDiff(kind=PropertyDiff.UPDATE_REPLACE, inputDiff=True) for path in self.replaces},
            **{path: PropertyDiff(kind=PropertyDiff.UPDATE, inputDiff=False) for path in self.observed},
        }
        return DiffResponse(
            changes=DiffResponse.DIFF_SOME if kinds else DiffResponse.DIFF_NONE,
            diffs=sorted({path.split(".")[0] for path in kinds}),
            replaces=sorted({path.split(".")[0] for path in self.replaces}),
            deleteBeforeReplace=True,
            detailedDiff=kinds,
            hasDetailedDiff=True,
        )


def changed_paths(old: Properties, new: Properties) -> tuple[str, ...]:
    """Return the paths at which two sets of inputs differ; an unknown value differs from every other.

    >>> changed_paths({"document": {"a": 1, "b": 2}}, {"document": {"a": 1, "b": 3}})
    ('document.b',)
    """
    return tuple(_walk(old, new, ""))


def _walk(old: Mapping[str, Plain], new: Mapping[str, Plain], above: str) -> Iterator[str]:
    for name in sorted({*old, *new}):
        before, after = old.get(name, _MISSING), new.get(name, _MISSING)
        if before == after or (before in (None, _MISSING) and after in (None, _MISSING)):
            continue
        if isinstance(before, dict) and isinstance(after, dict):
            yield from _walk(before, after, f"{above}{name}.")
        else:
            yield f"{above}{name}"
