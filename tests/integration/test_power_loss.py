"""After any loss of power the journal has what it acknowledged: its files are rebuilt as they may be then, and opened.

PENSTOCK_TEST_CUTS: losses of power for each test (400).
"""

import asyncio
import os
import random
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from service.journal import record
from service.journal.reader import Row
from service.journal.state import Append
from service.journal.store import Store
from service.journal.writer import Committed, Request, Writer
from tests.disk.history import ROUTES, Known, Script, all_rows
from tests.disk.power import Change, Cut, Mark, Recorder, Sync, cuts
from tests.disk.vfs import watched
from tests.flow.journaled import events, ids, until

CUTS = int(os.environ.get("PENSTOCK_TEST_CUTS", "400"))
MAX_BYTES = 2 * 2**20
"""So small that the log begins anew, and is copied, many times in a short history."""
NAME = "journal.db"


def recorded(folder: Path, commits: int, seed: int, fails: float = 0.0) -> list[Change]:
    """What a disk was asked for during so many commits."""
    rng = random.Random(seed)
    recorder = Recorder(rng=rng)
    with watched(folder, recorder):
        script = Script(folder / NAME, rng, recorder.mark, MAX_BYTES)
        script.begin()
        recorder.fails = fails
        for _ in range(commits):
            script.commit()
        script.close()
    assert script.acknowledged > commits // 4
    assert bool(script.failed) == bool(fails)
    return recorder.changes


def assert_survives(cut: Cut, changes: list[Change]) -> None:
    """Open what is left, twice, and go on with it."""
    known = Known([change.what for change in changes[: cut.at] if isinstance(change, Mark)])
    with TemporaryDirectory() as name, watched(Path(name), Recorder()):
        path = Path(name, NAME)
        cut.write(path.parent)
        with Store.open(path, MAX_BYTES) as store:
            known.check(store, path)
        with Store.open(path, MAX_BYTES) as store:
            known.check(store, path)
            store.arrange(ROUTES)
            stream = store.streams["orders"]
            row = Row(stream.last + 1, 2, 0.0, b"more")
            store.commit([Append(stream.id, row)], {leg.id: [(1, row.last)] for leg in stream.legs.values()})
            assert not stream.waiting


@pytest.mark.parametrize("seed", [1, 2])
def test_what_was_acknowledged_is_there_after_any_loss_of_power(tmp_path: Path, seed: int) -> None:
    changes = recorded(tmp_path, 60, seed)
    assert sum(isinstance(change, Sync) and change.name == NAME for change in changes) > 5, "the log was never copied"
    ways: Counter[str] = Counter()
    for cut in cuts(changes, CUTS, random.Random(seed)):
        assert_survives(cut, changes)
        ways[cut.way] += 1
    assert len(ways) == 8


@pytest.mark.parametrize("seed", [1, 2])
def test_what_was_acknowledged_is_there_after_syncs_that_failed(tmp_path: Path, seed: int) -> None:
    """What a failed sync left unwritten looks written until the power is lost, and no later sync writes it."""
    changes = recorded(tmp_path, 100, seed, fails=0.3)
    for cut in cuts(changes, CUTS, random.Random(seed)):
        assert_survives(cut, changes)


async def test_what_the_thread_acknowledged_is_there_after_any_loss_of_power(tmp_path: Path) -> None:
    """Requests come while commits run, and are settled while others are stored."""
    recorder = Recorder()
    rng = random.Random(3)
    path = tmp_path / NAME
    told = 0

    def committed(done: Committed) -> None:
        nonlocal told
        for request in done.requests:
            recorder.mark((request.first, len(request.events)))
            told += 1

    with watched(tmp_path, recorder):
        store = Store.open(path, MAX_BYTES)
        store.arrange({"orders": {"lake": True}})
        writer = Writer(path, store, asyncio.get_running_loop(), committed, lambda usage: None)
        first = 1
        for number in range(150):
            count = rng.randint(1, 20)
            writer.put([Request(1, first, events(first, first + count - 1, size=rng.choice([10, 2000])), 1000)])
            first += count
            if number % 3 == 0:
                wanted = rng.randint(0, number)
                await until(lambda wanted=wanted: told > wanted)  # type: ignore[misc]
        await until(lambda: told == 150)
        writer.close()
    for cut in cuts(recorder.changes, CUTS, rng):
        known = [change.what for change in recorder.changes[: cut.at] if isinstance(change, Mark)]
        with TemporaryDirectory() as name, watched(Path(name), Recorder()):
            cut.write(Path(name))
            with Store.open(Path(name, NAME), MAX_BYTES):
                found = [
                    event.id
                    for row in all_rows(Path(name, NAME), 1).values()
                    for event in record.decode(row.body, "orders")
                ]
        assert found == ids(1, len(found))
        assert len(found) >= max((first + count - 1 for first, count in known), default=0)
