"""After any loss of power the journal has what it acknowledged: its files are rebuilt as they may be then, and opened.

PENSTOCK_TEST_CUTS: losses of power for each test (400).
"""

import os
import random
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from service.journal.reader import Row
from service.journal.state import Append
from service.journal.store import Store
from tests.disk.history import ROUTES, Known, Script
from tests.disk.power import Change, Cut, Mark, Recorder, Sync, cuts
from tests.disk.vfs import watched

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
