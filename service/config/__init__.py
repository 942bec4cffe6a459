"""The configuration: read, checked as a whole, and every mistake listed with its place."""

from service.config.effective import Config
from service.config.load import load
from service.document import find

__all__ = ["Config", "find", "load"]
