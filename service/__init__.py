"""Penstock: a streaming ingestion gateway for AWS that answers for every event."""

__version__ = "0.1.0"
