"""The bench that other roles are played on, with a volume nobody has used."""

from tests.playbooks.nvidia_driver.conftest import bench

__all__ = ["bench"]
