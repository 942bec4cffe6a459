"""The watchdog: it measures how long the loop lets wait, and says where the loop stands when it is stuck."""

import asyncio
import logging
import threading
from collections.abc import Iterator

import pytest

from service import watchdog
from service.watchdog import Watchdog

BEAT = 0.005
STUCK = 0.05
SECONDS = 20


class Heard(logging.Handler):
    """Keeps what the watchdog says, and lets a test wait for it on any thread."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []
        self.critical = threading.Event()

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)
        if record.levelno == logging.CRITICAL:
            self.critical.set()


@pytest.fixture
def heard() -> Iterator[Heard]:
    handler = Heard()
    watchdog.log.addHandler(handler)
    yield handler
    watchdog.log.removeHandler(handler)


async def beats(count: int, lags: list[float], **settings: float) -> None:
    """Run a watchdog until it has been answered so often."""
    enough = asyncio.Event()

    def beat(lag: float) -> None:
        lags.append(lag)
        if len(lags) >= count:
            enough.set()

    with Watchdog(beat, BEAT, **settings):
        async with asyncio.timeout(SECONDS):
            await enough.wait()


def hold_the_loop_up(until: threading.Event) -> None:
    """As a plugin that blocks."""
    assert until.wait(SECONDS)


async def test_a_loop_that_runs_answers_again_and_again_and_nothing_is_said(heard: Heard) -> None:
    lags: list[float] = []
    await beats(5, lags, stuck_seconds=SECONDS)
    assert all(0 <= lag < SECONDS for lag in lags)
    assert heard.records == []


async def test_a_stuck_loop_is_told_each_time_with_the_place_where_it_stands_and_its_end(heard: Heard) -> None:
    lags: list[float] = []
    running = asyncio.create_task(beats(4, lags, stuck_seconds=STUCK))
    await asyncio.sleep(0)

    async def blocking() -> None:
        heard.critical.clear()
        hold_the_loop_up(heard.critical)

    for _ in range(2):
        await asyncio.create_task(blocking(), name="lane lake")
        count = len(lags)
        while len(lags) == count:
            await asyncio.sleep(0)
    await running
    critical, goes_on, *again = heard.records
    assert [record.levelname for record in again] == ["CRITICAL", "ERROR"]
    told = vars(critical)
    assert (critical.levelname, told["task"]) == ("CRITICAL", "lane lake")
    assert told["stuck_seconds"] >= round(STUCK, 1)
    assert any("hold_the_loop_up" in frame and "test_watchdog.py" in frame for frame in told["stack"])
    assert goes_on.levelname == "ERROR"
    assert max(lags) >= STUCK


async def test_while_it_stays_stuck_it_is_not_told_again(heard: Heard, monkeypatch: pytest.MonkeyPatch) -> None:
    """The watchdog looks ten times more before the loop goes on."""
    looked = threading.Event()
    looks = 0
    running = asyncio.create_task(beats(2, [], stuck_seconds=STUCK))
    await asyncio.sleep(0)
    wait = threading.Event.wait

    def counting(event: threading.Event, timeout: float | None = None) -> bool:
        nonlocal looks
        if threading.current_thread().name == "watchdog" and heard.critical.is_set():
            looks += 1
            if looks > 10:
                looked.set()
        return wait(event, timeout)

    monkeypatch.setattr(threading.Event, "wait", counting)
    hold_the_loop_up(looked)
    await running
    assert [record.levelname for record in heard.records] == ["CRITICAL", "ERROR"]


async def test_it_ends_with_its_block() -> None:
    with Watchdog(lambda lag: None, BEAT) as watching:
        thread = watching._thread
        assert thread.is_alive()
    assert not thread.is_alive()


def test_a_loop_that_is_closed_is_left_alone() -> None:
    async def main() -> Watchdog:
        watching = Watchdog(lambda lag: None, BEAT)
        watching.__enter__()
        return watching

    watching = asyncio.run(main())
    watching._thread.join(SECONDS)
    assert not watching._thread.is_alive()
