"""The configuration: read, checked as a whole, and every mistake listed with its place."""

from typing import TYPE_CHECKING, Any

from service.config.file import find

if TYPE_CHECKING:
    from service.config.effective import Config
    from service.config.load import load

__all__ = ["Config", "find", "load"]


def __getattr__(name: str) -> Any:
    """The checked configuration, once it is asked for: `penstock healthcheck` reads a port, and has no time for it."""
    if name == "Config":
        from service.config.effective import Config

        return Config
    if name == "load":
        from service.config.load import load as checked

        return checked
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
