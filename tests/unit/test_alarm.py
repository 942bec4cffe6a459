"""A lane's alarm on the loop that the service runs on: uvloop's handles are not asyncio's in everything."""

import asyncio
from collections.abc import Callable
from math import inf

import pytest
import uvloop

from service.delivery.alarm import Alarm

LOOPS = [asyncio.new_event_loop, uvloop.new_event_loop]


@pytest.mark.parametrize("new_loop", LOOPS, ids=["asyncio", "uvloop"])
@pytest.mark.parametrize("seconds", [-1.0, 0.0, 0.0001, 0.01])
def test_it_rings_once_however_often_it_is_set_also_to_what_has_passed(
    new_loop: Callable[[], asyncio.AbstractEventLoop], seconds: float
) -> None:
    async def rung() -> int:
        rings: list[None] = []
        alarm = Alarm(lambda: rings.append(None))
        moment = asyncio.get_running_loop().time() + seconds
        for each in (moment, moment, moment - 0.5, moment):
            alarm.set(each)
        await asyncio.sleep(0.05)
        alarm.set(moment - 1)
        alarm.set(inf)
        await asyncio.sleep(0.05)
        return len(rings)

    with asyncio.Runner(loop_factory=new_loop) as runner:
        assert runner.run(rung()) == 1


@pytest.mark.parametrize("new_loop", LOOPS, ids=["asyncio", "uvloop"])
def test_it_can_be_set_again_once_it_has_rung(new_loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
    async def rung() -> int:
        rings: list[None] = []
        alarm = Alarm(lambda: rings.append(None))
        moment = asyncio.get_running_loop().time()
        for _ in range(3):
            alarm.set(moment)
            await asyncio.sleep(0.01)
        return len(rings)

    with asyncio.Runner(loop_factory=new_loop) as runner:
        assert runner.run(rung()) == 3
