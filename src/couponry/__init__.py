"""Couponry, a self-hosted coupon engine."""

from importlib.metadata import version

__version__ = version("couponry")
