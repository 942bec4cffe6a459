"""The configuration: read, checked as a whole, and every mistake listed with its place."""

from service.config.load import Config, find, load

__all__ = ["Config", "find", "load"]
