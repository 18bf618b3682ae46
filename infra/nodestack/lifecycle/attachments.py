"""A volume and the node that has it: attached once the node runs, taken back from a node that is gone."""

from threading import Event

from nodestack.clouds.base import Cloud, Node, NodeStatus, Progress
from nodestack.errors import CloudError, VolumeInUse
from nodestack.lifecycle.pace import Pace, poll


def attach(  # noqa: PLR0913 - each by name
    cloud: Cloud,
    node: Node,
    volume_id: str,
    *,
    progress: Progress,
    cancelled: Event,
    pace: Pace,
) -> Node:
    """Return a running node that has the volume; one that has it already is left alone.

    Raises:
        VolumeInUse: A node that exists has it.
        CloudError: The volume does not exist, or the cloud refused.
        Interrupted: `cancelled` was set.
    """
    if not volume_id or node.volume_id == volume_id:
        return node

    def attached() -> bool:
        volume = cloud.read_volume(volume_id)
        if volume is None:
            raise CloudError(f"volume {volume_id} vanished before node {node.name} had it: run again to make it anew")
        if volume.attached_to == node.node_id:
            return True
        if not release(cloud, volume_id):
            raise VolumeInUse(
                f"volume {volume.name} is attached to node {volume.attached_to}, which exists: delete that node first"
            )
        progress(f"attaching volume {volume.name} to node {node.name}")
        # Asked again after an unclear answer: attaching what is attached is no error.
        cloud.attach_volume(node.node_id, volume_id)
        return True

    what = f"volume {volume_id} to be attached to node {node.name}"
    poll(attached, pace.no_faster_than(cloud.poll_s), what=what, cancelled=cancelled)
    return node.model_copy(update={"volume_id": volume_id})


def release(cloud: Cloud, volume_id: str) -> bool:
    """Take a volume back from a node that is gone, and return whether nothing holds it now."""
    volume = cloud.read_volume(volume_id)
    if volume is None or volume.attached_to is None:
        return True
    holder = cloud.read_node(volume.attached_to)
    if holder is not None and holder.status is not NodeStatus.TERMINATED:
        return False
    cloud.detach_volume(volume.attached_to, volume_id)
    return True
