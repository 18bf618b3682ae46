"""The Volume resource: holds weights across every teardown, is grown, never replaced."""

from collections.abc import Iterator
from typing import Annotated

from pydantic import Field

from nodestack.clouds.base import Name, VolumeRequest
from nodestack.clouds.base import Volume as CloudVolume
from nodestack.errors import CloudError, VolumeInUse
from nodestack.lifecycle import volumes
from nodestack.plugin.diff import Difference, changed_paths
from nodestack.plugin.properties import UNKNOWN, Plain, Properties
from nodestack.plugin.resources.base import Call, Made, Problem, Resource, Typed
from nodestack.plugin.resources.purchase import PurchaseArgs

_PLACES = {
    "kind": "cloud",
    "base_url": "API",
    "team_id": "team",
    "device": "device",
}
"""What of an account says where its volumes are, in words."""


class VolumeArgs(PurchaseArgs):
    """A volume to be had, near the machine that is bought for it.

    Attributes:
        name: Exact name in the account.
        size_gib: Size in GiB; may grow later, never shrink.
    """

    name: Name
    size_gib: Annotated[int, Field(gt=0)]


class VolumeOutputs(Typed):
    """A volume as it is.

    Attributes:
        volume_id: The cloud's id.
        name: Exact name in the account.
        size_gib: Size in GiB, more than asked for when a larger one was found.
        handle: What a node may see of its name; "" where that is not known.
    """

    volume_id: str = ""
    name: str = ""
    size_gib: int = 0
    handle: str = ""


class Volume(Resource[VolumeArgs, VolumeOutputs]):
    """Finds or makes, grows, and deletes a volume; the engine's protection stands before the last."""

    token = "nodestack:index:Volume"  # noqa: S105 - a resource type, no secret
    args_type = VolumeArgs
    outputs_type = VolumeOutputs

    def check(self, olds: Properties, news: Properties) -> list[Problem]:
        """As for every resource; another name or account would mean another volume and is refused."""
        problems = [*super().check(olds, news), *_moved(olds.get("account"), news.get("account"))]
        before, after = olds.get("name"), news.get("name")
        if isinstance(before, str) and isinstance(after, str) and before != after:
            problems.append(
                Problem(
                    "name",
                    f"the volume is called {before!r}, {after!r} was asked for: volumes keep their "
                    f"names, another one would start empty. Set it back, or run `make purge` to give up what is on it",
                )
            )
        return problems

    def diff(self, old_inputs: Properties, news: Properties, outputs: VolumeOutputs) -> Difference:
        """Return whether it grows.

        Raises:
            VolumeInUse: It would have to shrink.
        """
        wanted = news.get("sizeGib")
        if not isinstance(wanted, int):
            return Difference(updates=("sizeGib",) if wanted is UNKNOWN else ())
        if wanted > outputs.size_gib:
            return Difference(updates=("sizeGib",))
        if wanted < outputs.size_gib and "sizeGib" in changed_paths(old_inputs, news):
            raise VolumeInUse(
                f"volume {outputs.name} has {outputs.size_gib} GiB, {wanted} GiB were asked for: volumes never "
                f"shrink. Ask for {outputs.size_gib} GiB or more, or run `make purge` to give up what is on it"
            )
        return Difference()

    def preview(self, news: Properties, outputs: VolumeOutputs | None) -> Properties:
        """Return name and size as asked for; the id is open until it exists."""
        known: Properties = {"volumeId": outputs.volume_id, "handle": outputs.handle} if outputs else {}
        return {"volumeId": UNKNOWN, "handle": UNKNOWN, **known, "name": news["name"], "sizeGib": news["sizeGib"]}

    def create(self, args: VolumeArgs, call: Call) -> Made[VolumeOutputs]:
        """Find or make the volume."""
        cloud = call.open_account(args.account)
        request = VolumeRequest(name=args.name, size_gib=args.size_gib)
        try:
            return _made(
                call.run(
                    lambda: volumes.ensure(
                        cloud, request, progress=call.progress, cancelled=call.cancelled, wish=args.machine()
                    )
                )
            )
        except Exception as error:
            # A volume that exists but could not be grown must not be forgotten.
            volume = call.find_left_behind(lambda: cloud.find_volume(args.name))
            if volume is None:
                raise
            return _made(volume, error)

    def read(self, resource_id: str, args: VolumeArgs, outputs: VolumeOutputs, call: Call) -> VolumeOutputs | None:
        """Return the volume as it is."""
        volume = volumes.observe(call.open_account(args.account), resource_id)
        return None if volume is None else _made(volume).outputs

    def update(self, resource_id: str, args: VolumeArgs, outputs: VolumeOutputs, call: Call) -> Made[VolumeOutputs]:
        """Grow the volume where it is smaller than asked for."""
        cloud = call.open_account(args.account)
        try:
            volume = volumes.observe(cloud, resource_id)
            if volume is None:
                raise CloudError(f"volume {args.name} vanished while it was updated: run again to make it anew")
            return _made(call.run(lambda: volumes.grow(cloud, volume, args.size_gib, progress=call.progress)))
        except Exception as error:
            return Made(resource_id, outputs, error)

    def delete(self, resource_id: str, args: VolumeArgs, outputs: VolumeOutputs, call: Call) -> None:
        """Delete the volume and all that is on it."""
        cloud = call.open_account(args.account)
        call.run(
            lambda: volumes.delete_until_gone(cloud, resource_id, progress=call.progress, cancelled=call.cancelled)
        )


def _moved(before: Plain, after: Plain) -> Iterator[Problem]:
    if not (isinstance(before, dict) and isinstance(after, dict)):
        return
    for key, what in _PLACES.items():
        here, there = before.get(key), after.get(key)
        if here != there:
            yield Problem(
                f"account.{key}",
                f"the volume is kept at {what} {here or '(the default)'}, {there or 'the default'} was asked for: "
                "volumes do not move, and another one would start empty. Set it back, use a stack of its own for the "
                "other place, or run `make purge` to give up what is on it",
            )
            return


def _made(volume: CloudVolume, failure: Exception | None = None) -> Made[VolumeOutputs]:
    outputs = VolumeOutputs(
        volume_id=volume.volume_id, name=volume.name, size_gib=volume.size_gib, handle=volume.handle
    )
    return Made(volume.volume_id, outputs, failure)
