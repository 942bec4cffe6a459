"""Turns: who is next, and who has given up."""

import asyncio

from service.http.turns import Turns


async def test_large_bodies_take_turns_in_their_order() -> None:
    turns = Turns(1)
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
    async with asyncio.timeout(5):
        while began != [1, 4]:
            await asyncio.sleep(0)


def test_a_turn_that_ends_after_the_loop_wakes_nobody() -> None:
    turns = Turns(1)
    woken: list[str] = []
    turns.take(lambda: woken.append("first"))
    turns.take(lambda: woken.append("second"))
    turns.leave()
    assert woken == ["first"]
