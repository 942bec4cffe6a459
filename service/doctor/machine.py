"""What `penstock doctor` finds out about the machine: ports, descriptors, and the journal's volume."""

import errno
import os
import resource
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

from service.config import Config
from service.errors import ConfigError
from service.finding import Finding, note, ok, problem, warning
from service.journal.volume import demand_durable, file_system, free_bytes, in_use
from service.ports import OTHER_DESCRIPTORS, WANTED_DESCRIPTORS, bound
from service.units import format_size

_FEW_DESCRIPTORS = 8192


async def examined(config: Config) -> AsyncIterator[Finding]:
    """Everything here is there at once."""
    for section, host, port in (
        ("server", config.server.host, config.server.port),
        ("admin", config.admin.host, config.admin.port),
    ):
        yield _port(section, host, port)
    yield _descriptors()
    if any(route.ack == "stored" for route in config.routes.values()):
        for finding in _volume(config):
            yield finding


def _port(section: str, host: str, port: int) -> Finding:
    try:
        bound(section, host, port).close()
    except ConfigError as error:
        if os.strerror(errno.EADDRINUSE) in error.mistakes[0]:
            return warning(f"{section} port", error.mistakes[0], "nothing, if that is this service, which runs already")
        return problem(f"{section} port", error.mistakes[0])
    return ok(f"{section} port", f"{host}:{port} is free" if port else f"{host}, any port")


def _descriptors() -> Finding:
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if most == resource.RLIM_INFINITY or most >= WANTED_DESCRIPTORS:
        return ok("descriptors", f"at least {WANTED_DESCRIPTORS:,} are allowed")
    told = f"{most:,} are allowed, for about {max(1, most - OTHER_DESCRIPTORS):,} connections"
    if most < _FEW_DESCRIPTORS:
        return warning("descriptors", told, f"raise the hard limit (`ulimit -Hn`), to {WANTED_DESCRIPTORS:,} at best")
    return note("descriptors", told, f"raise the hard limit if there may be more, to {WANTED_DESCRIPTORS:,} at most")


def _volume(config: Config) -> Iterator[Finding]:
    journal = config.journal
    there = _existing(journal.path)
    kind = file_system(there)
    try:
        if journal.volume == "persistent":
            demand_durable(journal.path, kind)
        yield ok("journal volume", f"{journal.path} is on {kind or 'a file system that is not told'}")
    except ConfigError as error:
        yield problem("journal volume", error.mistakes[0])
    try:
        free = free_bytes(there)
        if in_use(journal.path):
            yield note("journal", "a process uses it: the free space below is beside what it has")
    except OSError as error:
        yield problem("journal volume", f"{there}: {error.strerror}", "let this user read and write there")
        return
    needed = journal.max_bytes + journal.min_free
    if free < needed:
        yield warning(
            "journal space",
            f"{_rounded(free)} are free; max_bytes and min_free are {format_size(needed)}",
            "a larger volume, or a lower journal.max_bytes: the disk would be full before the journal is",
        )
    else:
        yield ok("journal space", f"{_rounded(free)} are free for {format_size(needed)}")


def _rounded(size: int) -> str:
    """Down to what one reads."""
    unit = 2**30 if size >= 10 * 2**30 else 2**20
    return format_size(size // unit * unit)


def _existing(path: Path) -> Path:
    """The folder, or the nearest above it that is there."""
    while not path.exists() and path != path.parent:
        path = path.parent
    return path
