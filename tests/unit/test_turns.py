"""Turns and pieces: who is next, who has given up, and how much of others' work a small request waits for."""

import asyncio
import itertools
import math
from collections.abc import Callable, Generator
from functools import partial

import pytest

from service.http.turns import PAUSE_TURNS, PIECE_SECONDS, Pieces, Turns, advance, whole


@pytest.fixture
def take_time(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Lets so many seconds pass on the clock that ends pieces, and on no other."""
    now = [0.0]
    monkeypatch.setattr("service.http.turns.perf_counter", lambda: now[0])

    def take(seconds: float) -> None:
        now[0] += seconds

    return take


def test_work_is_done_piece_by_piece_or_at_once(take_time: Callable[[float], None]) -> None:
    def counting(up_to: int, done: list[int], seconds: float) -> Generator[None, None, str]:
        for number in range(up_to):
            done.append(number)
            take_time(seconds)
            yield
        return "done"

    done: list[int] = []
    work = counting(2, done, PIECE_SECONDS)
    assert [advance(work), len(done), advance(work), len(done), advance(work)] == [None, 1, None, 2, "done"]
    assert (whole(counting(3, done, PIECE_SECONDS)), done) == ("done", [0, 1, 0, 1, 2])
    assert advance(counting(3, [], PIECE_SECONDS / 4)) == "done", "less than a piece is done in one"


def among_others() -> Pieces:
    """Pieces of a process where small requests come all the time."""
    pieces = Pieces()
    pieces.small_at = math.inf
    return pieces


async def test_where_no_small_request_has_come_lately_pieces_are_longer_and_follow_each_other() -> None:
    pieces, done = Pieces(), list[int]()
    assert pieces.seconds > among_others().seconds
    pieces.soon(lambda: done.append(1))
    pieces.soon(lambda: done.append(2))
    assert done == [1, 2], "whoever begins does so at once"
    pieces.later(lambda: done.append(3))
    assert done == [1, 2], "whoever has just done a piece lets the loop turn"
    for _ in range(PAUSE_TURNS // 2):
        await asyncio.sleep(0)
    assert done == [1, 2, 3]


@pytest.mark.parametrize("at_once", [1, 5])
async def test_there_are_turns_for_others_between_two_pieces_however_many_have_some(at_once: int) -> None:
    pieces = among_others()
    turn, done = 0, list[tuple[int, int]]()

    def work(who: int, left: int) -> None:
        done.append((turn, who))
        if left > 1:
            pieces.soon(partial(work, who, left - 1))

    for who in range(at_once):
        pieces.soon(partial(work, who, 3))
    assert done == [(0, 0)], "the first begins at once"
    async with asyncio.timeout(30):
        while len(done) < 3 * at_once:
            await asyncio.sleep(0)
            turn += 1
    turns = [turn for turn, _ in done]
    assert min(later - turn for turn, later in itertools.pairwise(turns)) >= PAUSE_TURNS - 1, (
        "a turn may begin with the piece"
    )
    assert {who for _, who in done[: at_once + 1]} == set(range(at_once)), "each in its turn"


async def test_whoever_has_just_done_a_piece_waits_for_the_next_however_it_began() -> None:
    pieces = among_others()
    for _ in range(2):
        began = asyncio.create_task(pieces.pause())
        turns = 0
        while not began.done():
            await asyncio.sleep(0)
            turns += 1
        assert turns >= PAUSE_TURNS


async def test_one_that_has_long_rested_begins_at_once() -> None:
    pieces = among_others()
    pieces.soon(lambda: None)
    for _ in range(2 * PAUSE_TURNS):
        await asyncio.sleep(0)
    done: list[int] = []
    pieces.soon(lambda: done.append(1))
    assert done == [1]


async def test_a_piece_that_fails_and_one_that_is_given_up_stop_nobody() -> None:
    pieces = among_others()
    loop, done = asyncio.get_running_loop(), list[int]()
    failures: list[str] = []
    loop.set_exception_handler(lambda _, context: failures.append(str(context["exception"])))

    def fail() -> None:
        raise ValueError("defect")

    pieces.soon(lambda: None)
    pieces.soon(fail)
    given_up = asyncio.create_task(pieces.pause())
    await asyncio.sleep(0)
    given_up.cancel()
    pieces.soon(lambda: done.append(1))
    async with asyncio.timeout(30):
        while not done:
            await asyncio.sleep(0)
    assert failures == ["defect"]


async def test_large_bodies_take_turns_in_their_order() -> None:
    turns = Turns(1, among_others())
    began: list[int] = []
    turns.take(lambda: began.append(1))
    waiting = asyncio.create_task(turns.wait())
    given_up = asyncio.create_task(turns.wait())
    await asyncio.sleep(0)
    turns.take(lambda: began.append(4))
    given_up.cancel()
    await asyncio.gather(given_up, return_exceptions=True)
    assert began == [1]
    assert not waiting.done()
    turns.leave()
    await waiting
    assert began == [1]
    turns.leave()
    async with asyncio.timeout(30):
        while began != [1, 4]:
            await asyncio.sleep(0)


def test_a_turn_that_ends_after_the_loop_wakes_nobody() -> None:
    turns = Turns(1, among_others())
    woken: list[str] = []
    turns.take(lambda: woken.append("first"))
    turns.take(lambda: woken.append("second"))
    turns.leave()
    assert woken == ["first"]
