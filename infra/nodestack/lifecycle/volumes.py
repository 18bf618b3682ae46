"""Volumes from first request to last: found again by exact name, grown, never shrunk, deleted only when asked to."""

from threading import Event

from nodestack.clouds.base import Cloud, Progress, Volume, VolumeRequest
from nodestack.errors import CloudError
from nodestack.lifecycle.pace import Pace, poll, stop_if

DELETION = Pace(timeout_s=120)


def ensure(cloud: Cloud, request: VolumeRequest, *, progress: Progress, cancelled: Event) -> Volume:
    """Return the account's one volume of this name, at least as large as asked for.

    A volume that exists is adopted with all it holds; a larger one stays as large as it is.

    Raises:
        CloudError: The cloud refused; nothing was made, or what was made is found again by its name.
        Interrupted: `cancelled` was set before anything was asked for.
    """
    stop_if(cancelled, f"volume {request.name}")
    volume = cloud.find_volume(request.name)
    if volume is None:
        # The volume comes first: where no node can live either, nothing is left that would have to be removed.
        cloud.preflight()
        progress(f"making volume {request.name} of {request.size_gib} GiB")
        volume = _create(cloud, request)
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
    cloud.delete_volume(volume_id)
    poll(lambda: True if cloud.read_volume(volume_id) is None else None, pace, what=what, cancelled=cancelled)


def _create(cloud: Cloud, request: VolumeRequest) -> Volume:
    try:
        return cloud.create_volume(request)
    except CloudError:
        # The answer may have been lost after the cloud did as asked: a second request would make a second volume.
        volume = cloud.find_volume(request.name)
        if volume is None:
            raise
        return volume
