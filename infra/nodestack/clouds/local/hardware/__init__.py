"""Recorded hardware that a local node's driver packages replay, good and broken."""

from nodestack.clouds.local.hardware.profile import Profile, load, profiles
from nodestack.clouds.local.hardware.render import REPLAY_DIRECTORY, pci_devices, render

LSPCI = "/usr/local/bin/lspci"
"""Stands before the real one on a node's path, and shows the recorded devices of NVIDIA."""

__all__ = ["LSPCI", "REPLAY_DIRECTORY", "Profile", "files", "load", "profiles", "render"]


def files(profile: str) -> dict[str, bytes]:
    """Return what a node with this hardware holds before it boots, by absolute path on the node.

    Args:
        profile: One of `profiles()`.

    Raises:
        CloudError: There is no such profile; the message names the known ones.

    >>> sorted(files("h100-sxm5-x8"))[0]
    '/etc/nvidia-replay/details.txt'
    """
    recorded = {f"{REPLAY_DIRECTORY}/{name}": content for name, content in render(load(profile)).items()}
    # The bus is there before any driver is.
    return {**recorded, LSPCI: f"#!/bin/sh\ncat <<'ENDS'\n{pci_devices(load(profile))}ENDS\n".encode()}
