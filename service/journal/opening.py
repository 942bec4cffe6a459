"""How the journal of a folder is opened: by one process at a time, on a disk that keeps it, and only if everything that
it holds has a way to go."""

import sqlite3
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from service.config.settings import JournalConfig
from service.errors import ConfigError
from service.journal.loading import Unusable
from service.journal.store import LOG_BYTES, Store
from service.journal.volume import Lock, demand_durable, file_system, holder
from service.journal.writer import Usage, usage_of
from service.units import counted

FILE: Final = "journal.db"
LOG_SHARE: Final = 8
"""Part of `journal.max_bytes` for the log, one in so many: it counts, and must not fill a small journal by itself."""


def folder_of(path: Path, worker: int) -> Path:
    """Where the worker of this number has its journal, below `journal.path`."""
    return path / f"worker-{worker}"


def opened(
    folder: Path, config: JournalConfig, routes: Mapping[str, Mapping[str, bool]], inherited: bool
) -> tuple[Lock, Store, Usage]:
    """The folder's journal, locked and open. `inherited`: what it holds for other routes and sinks has a place to go.
    Raises ConfigError."""
    try:
        lock = Lock.of(folder)
    except OSError as error:
        raise ConfigError([f"journal.path: {folder} cannot be used: {error.strerror}"]) from error
    if lock is None:
        raise ConfigError([f"journal.path: {folder} is used by another process ({holder(folder)}): one at a time"])
    try:
        if config.volume != "ephemeral":
            demand_durable(folder, file_system(folder))
        store = Store.open(folder / FILE, min(LOG_BYTES, config.max_bytes // LOG_SHARE))
        store.arrange(routes)
        if not inherited and (orphans := store.orphans(routes)):
            store.close()
            raise ConfigError([homeless(folder, route, sink, count) for (route, sink), count in orphans.items()])
        usage = usage_of(store, folder)
    except (Unusable, sqlite3.Error, OSError) as error:
        lock.release()
        raise ConfigError([f"journal.path: {error}"]) from error
    except ConfigError:
        lock.release()
        raise
    return lock, store, usage


def homeless(folder: Path, route: str, sink: str, events: int) -> str:
    """A sentence about events for which the configuration has no way, and what can be done."""
    return (
        f"journal.path: {folder} holds {counted(events, 'event')} of route {route!r} for sink {sink!r}, and the "
        "configuration has no such route with `ack: stored` and this sink: put it back; or deliver them first, with "
        "`penstock journal drain` and a configuration that has both; or make dead letters of them, with "
        "`penstock journal drain --orphans-to SINK`"
    )
