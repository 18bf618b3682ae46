"""Volumes from first request to last: found again by exact name, grown, never shrunk, deleted only when asked to."""

from threading import Event

from nodestack.clouds.base import Cloud, Progress, Volume, VolumeRequest
from nodestack.errors import OutOfStock, VolumeInUse
from nodestack.lifecycle import choose
from nodestack.lifecycle.attachments import release
from nodestack.lifecycle.buying import SETTLE, find_surely, once
from nodestack.lifecycle.pace import Pace, poll, stop_if

DELETION = Pace(timeout_s=120)


def ensure(  # noqa: PLR0913 - each by name
    cloud: Cloud,
    request: VolumeRequest,
    *,
    progress: Progress,
    cancelled: Event,
    wish: choose.Wish | None = None,
    settle: Pace = SETTLE,
) -> Volume:
    """Return the account's one volume of this name, at least as large as asked for.

    A volume that exists is adopted with all it holds, wherever it lies; a larger one stays as large as it is.

    Args:
        cloud: The account.
        request: The volume.
        progress: Takes a line for each stage.
        cancelled: Ends it before anything is asked for.
        wish: The machine it is for: a volume whose region is open is made where the cheapest one is.
        settle: How long a volume whose order was not answered is looked for.

    Raises:
        OutOfStock: Nowhere is there such a machine.
        CloudError: The cloud refused; nothing was made, or what was made is found again by its name.
        Interrupted: `cancelled` was set before anything was asked for.
    """
    stop_if(cancelled, f"volume {request.name}")
    volume = find_surely(cloud, lambda: cloud.find_volume(request.name), f"volume {request.name}", cancelled)
    if volume is None:
        # The volume comes first: where no node can live either, nothing is left that would have to be removed.
        cloud.preflight()
        if wish is not None and not request.region:
            request = _placed(cloud, request, wish)
        where = f" at {request.provider} in {request.region}" if request.region else ""
        progress(f"making volume {request.name} of {request.size_gib} GiB{where}")
        volume = once(
            lambda: cloud.create_volume(request),
            lambda: cloud.find_volume(request.name),
            f"volume {request.name}",
            progress=progress,
            cancelled=cancelled,
            settle=settle.no_faster_than(cloud.poll_s),
        )
    else:
        progress(f"found volume {request.name} of {volume.size_gib} GiB, keeping what is on it")
    return grow(cloud, volume, request.size_gib, progress=progress)


def grow(cloud: Cloud, volume: Volume, size_gib: int, *, progress: Progress) -> Volume:
    """Return the volume with at least this size; one that has it already is left alone.

    Raises:
        VolumeInUse: The cloud grows detached volumes only.
    """
    if volume.size_gib >= size_gib:
        return volume
    progress(f"growing volume {volume.name} from {volume.size_gib} to {size_gib} GiB")
    return cloud.grow_volume(volume.volume_id, size_gib)


def observe(cloud: Cloud, volume_id: str) -> Volume | None:
    """Return the volume as it is, None when it is surely gone.

    Raises:
        AmbiguousError: The cloud's answer leaves that open.
    """
    return cloud.read_volume(volume_id)


def delete_until_gone(
    cloud: Cloud, volume_id: str, *, progress: Progress, cancelled: Event, pace: Pace = DELETION
) -> None:
    """Delete a volume with everything on it and return when it is surely gone; one that is gone is no error.

    Raises:
        VolumeInUse: A node holds it.
        Interrupted: `cancelled` was set; deleting again goes on from here.
    """
    what = f"volume {volume_id} to be gone"
    stop_if(cancelled, what)
    progress(f"deleting volume {volume_id} and all that is on it")
    accepted = False

    def gone() -> bool | None:
        nonlocal accepted
        if not accepted:
            _delete(cloud, volume_id)
            accepted = True
        return True if cloud.read_volume(volume_id) is None else None

    poll(gone, pace.no_faster_than(cloud.poll_s), what=what, cancelled=cancelled)


def _placed(cloud: Cloud, request: VolumeRequest, wish: choose.Wish) -> VolumeRequest:
    """Return the request with the place of the cheapest machine that could use the volume."""
    offers = cloud.offers(wish.query)
    fit = choose.fitting(offers, wish)
    if not fit:
        raise OutOfStock(f"no place for volume {request.name}: {choose.why_none(offers, wish)}")
    return request.model_copy(update={"provider": fit[0].provider, "region": fit[0].region})


def _delete(cloud: Cloud, volume_id: str) -> None:
    try:
        cloud.delete_volume(volume_id)
    except VolumeInUse:
        # Some clouds keep a volume with a node that is long gone.
        if not release(cloud, volume_id):
            raise
        cloud.delete_volume(volume_id)
