"""What a journal's folder holds, seen from outside, whether a process uses it or not.

Nothing that is stored is changed.
"""

import sqlite3
from collections.abc import Mapping
from pathlib import Path
from time import time

from msgspec import Struct

from service.config import Config
from service.errors import ConfigError
from service.journal.loading import Unusable, demand_known, loaded, stored_at, used_bytes
from service.journal.opening import FILE, folders
from service.journal.reader import reading
from service.journal.volume import free_bytes, holder, in_use
from service.units import format_duration, format_size


class Waiting(Struct, frozen=True):
    """What one sink of one route has not settled."""

    route: str
    sink: str
    events: int
    oldest_seconds: float
    """Since the first of them was stored."""


class Survey(Struct, frozen=True):
    """One folder."""

    folder: Path
    worker: int
    """The number in its name."""
    holder: str | None
    """Process id of who uses it; None if nobody does."""
    used_bytes: int = 0
    free_bytes: int = 0
    """Of the disk."""
    oldest_seconds: float = 0.0
    """Since the oldest row that is left was stored; 0 if there is none."""
    waiting: tuple[Waiting, ...] = ()
    flaw: str | None = None
    """Why it cannot be read."""

    @property
    def events(self) -> int:
        """All that waits; an event counts for each sink."""
        return sum(each.events for each in self.waiting)


def surveys(config: Config) -> list[Survey]:
    """All journals below `journal.path`, as they are now. Raises ConfigError if the folder cannot be read."""
    try:
        return [survey(worker, folder) for worker, folder in folders(config.journal.path).items()]
    except OSError as error:
        raise ConfigError([f"journal.path: {config.journal.path} cannot be read: {error.strerror}"]) from error


def survey(worker: int, folder: Path) -> Survey:
    """What the folder holds now. Raises OSError."""
    user = holder(folder) if in_use(folder) else None
    path = folder / FILE
    free = free_bytes(folder)
    try:
        sql = reading(path)
        try:
            sql.execute("BEGIN")  # what follows is of one moment
            demand_known(sql, path)
            now = time()
            streams = loaded(sql)
            waiting = tuple(
                Waiting(stream.route, leg.sink, events, _age(now, stored_at(sql, stream, leg.settled.first_missing())))
                for stream in streams.values()
                for leg in stream.legs.values()
                if (events := stream.waiting_at(leg))
            )
            oldest = max((_age(now, stored_at(sql, stream, 1)) for stream in streams.values()), default=0.0)
            return Survey(folder, worker, user, used_bytes(sql, path), free, oldest, waiting)
        finally:
            sql.close()
    except (sqlite3.Error, Unusable) as error:
        return Survey(folder, worker, user, free_bytes=free, flaw=str(error))


def _age(now: float, since: float | None) -> float:
    return max(0.0, now - since) if since is not None else 0.0


def ways(config: Config) -> dict[str, frozenset[str]]:
    """By route, the sinks that its events go to: also what was stored before it stopped to store."""
    return {name: frozenset(to.sink for to in route.to) for name, route in config.routes.items()}


def is_orphan(waiting: Waiting, known: Mapping[str, frozenset[str]]) -> bool:
    """Whether nothing brings these events anywhere. `known`: see `ways`."""
    return waiting.sink not in known.get(waiting.route, ())


def troubles(found: Survey, config: Config) -> list[str]:
    """What of a folder needs a person, in sentences."""
    if found.flaw is not None:
        return [f"cannot be read: {found.flaw}; see `penstock journal verify`"]
    told = []
    if found.events and found.holder is None and found.worker >= config.server.workers:
        told.append(
            f"no worker reads it until the next start, for there are {config.server.workers}; another one does then"
        )
    known = ways(config)
    for each in found.waiting:
        if is_orphan(each, known):
            told.append(
                f"no way for what waits of route {each.route!r} for sink {each.sink!r}: the service does not start; "
                "put them back, or `penstock journal drain --orphans-to SINK`"
            )
    journal = config.journal
    most = journal.max_bytes // config.server.workers
    if found.used_bytes >= most:
        told.append(f"full: it has its part of journal.max_bytes, {format_size(most)}; producers get 503")
    if found.free_bytes < journal.min_free:
        told.append(f"the disk has less free than journal.min_free, {format_size(journal.min_free)}; producers get 503")
    if found.oldest_seconds >= journal.max_age:
        told.append(f"the oldest is past journal.max_age, {format_duration(journal.max_age)}: it becomes a dead letter")
    return told
