"""Feeds on the simulated exchanges."""

from tests.unit.feed.conftest import bench

__all__ = ["bench"]
