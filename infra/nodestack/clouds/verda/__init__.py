"""Verda, formerly DataCrunch: instances and volumes over its REST API."""

from nodestack.clouds.verda.cloud import VerdaCloud

__all__ = ["VerdaCloud"]
