"""All journals of one process: its own, and those that nobody has any more because there are fewer workers now.

Each worker has a folder, `worker-N`. At a start with fewer of them, those that are left deliver what the others have
stored, and remove the folder when it is empty.
"""

import asyncio
import logging
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final, Self

from msgspec.structs import replace

from service.config import Config
from service.delivery.deadletter import DeadLetters
from service.delivery.route import Route
from service.journal.journal import Journal
from service.journal.opening import FILE, folder_of, folders
from service.journal.stream import Stream
from service.journal.volume import LOCK
from service.telemetry.journal import JournalGauges, summed
from service.telemetry.meter import Meter

log = logging.getLogger(__name__)

LOOK_SECONDS: Final = 1.0
"""How often it is looked whether an adopted journal is empty."""


class Journals:
    """Open from `open` to `close`."""

    def __init__(self, own: Journal | None, adopted: list[Journal], storing: list[str]) -> None:
        self.own = own
        """None: no route stores, and nothing was stored."""
        self._adopted = adopted
        self.keepers: dict[str, Stream] = {name: own.keeper(name) for name in storing} if own is not None else {}
        """Where the routes with `ack: stored` store."""
        self._watching: asyncio.Task[None] | None = None

    @classmethod
    async def open(
        cls, config: Config, routes: Mapping[str, Route], meter: Meter, heir: DeadLetters | None = None
    ) -> Self:
        """The journals of this process; `heir` as for one. Raises ConfigError with what is in the way."""
        storing = [name for name, route in config.routes.items() if route.ack == "stored"]
        found = _found(config.journal.path)
        workers, number = config.server.workers, config.worker
        opened: list[Journal] = []
        try:
            if storing or number in found:
                folder = folder_of(config.journal.path, number)
                opened.append(await Journal.open(folder, config, routes, meter, heir))
            for other, folder in found.items():
                if other >= workers and other % workers == number:
                    log.info("a journal of a worker that is no more is delivered from here", extra={"worker": other})
                    opened.append(await Journal.open(folder, config, routes, meter))
        except BaseException:
            for journal in opened:
                await journal.close()
            raise
        own = opened.pop(0) if storing or number in found else None
        return cls(own, opened, storing)

    def begin(self) -> None:
        """Store from now on, and deliver what was stored before."""
        for journal in self.all:
            journal.begin()
        if self._adopted:
            self._watching = asyncio.get_running_loop().create_task(self._empty(), name="adopted journals")

    @property
    def all(self) -> list[Journal]:
        """Every one."""
        return [*([self.own] if self.own is not None else []), *self._adopted]

    @property
    def trouble(self) -> str | None:
        """See `pipeline.Stored`."""
        return self.own.trouble if self.own is not None else None

    @property
    def state(self) -> JournalGauges | None:
        """See `pipeline.Stored`."""
        found = summed([journal.state for journal in self.all])
        return replace(found, trouble=self.trouble) if found is not None else None

    @property
    def unreadable(self) -> int:
        """See `pipeline.Stored`."""
        return sum(journal.unreadable for journal in self.all)

    def stop_feeding(self) -> None:
        """See `pipeline.Stored`."""
        for journal in self.all:
            journal.stop_feeding()

    async def close(self) -> None:
        """Commit what was settled, and end. What is not settled is there at the next start."""
        if self._watching is not None:
            self._watching.cancel()
        await asyncio.gather(*(journal.close() for journal in self.all))

    async def _empty(self) -> None:
        """Remove each adopted journal once all of it is delivered."""
        while self._adopted:
            await asyncio.sleep(LOOK_SECONDS)
            for journal in list(self._adopted):
                if journal.empty:
                    self._adopted.remove(journal)
                    await journal.close()
                    _remove(journal.folder)
                    log.info("an adopted journal is empty and gone", extra={"folder": str(journal.folder)})


def _found(path: Path) -> dict[int, Path]:
    with suppress(OSError):
        return folders(path)
    return {}


def _remove(folder: Path) -> None:
    """Remove an empty journal, and nothing that is not ours."""
    with suppress(OSError):
        for name in (FILE, f"{FILE}-wal", f"{FILE}-shm", LOCK):
            (folder / name).unlink(missing_ok=True)
        folder.rmdir()
