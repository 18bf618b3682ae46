"""The local cloud: systemd-nspawn machines on this host that behave like cloud VMs."""

from nodestack.clouds.local.cloud import LocalCloud

__all__ = ["LocalCloud"]
