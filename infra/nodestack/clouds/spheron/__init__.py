"""Spheron: a market of other providers' GPU machines, paid beforehand."""

from nodestack.clouds.spheron.cloud import SpheronCloud

__all__ = ["SpheronCloud"]
