"""A handover with two lanes, which run in the loop of the test: for the tests of `service/receiving/`."""

import asyncio
from collections.abc import Callable, Sequence

from service.codecs.draft import Caps
from service.delivery.deadletter import DeadLetters
from service.delivery.entry import Terms
from service.delivery.lane import Lane
from service.delivery.pipeline import Pipeline
from service.delivery.route import Leg, Route
from service.envelopes.contract import Message
from service.receipt import Settlement
from service.receiving.dedupe import Dedupe
from service.receiving.flow import Flow
from service.receiving.handover import Handover
from service.receiving.received import Received
from service.schemas.contract import Schema
from service.telemetry.meter import Meter
from tests.contract.plain_codec import Plain
from tests.http.scripted import Scripted


class Ear:
    """Hears what becomes of messages."""

    def __init__(self) -> None:
        self.numbers: list[int] = []
        """Settled, in the order in which that was told."""
        self.failures: list[tuple[int, Settlement]] = []
        self.on_failure: Callable[[Flow], object] | None = None

    def settled(self, flow: Flow, numbers: Sequence[int]) -> None:
        del flow
        self.numbers += numbers

    def failed(self, flow: Flow, number: int, why: Settlement) -> None:
        self.failures.append((number, why))
        if self.on_failure is not None:
            self.on_failure(flow)


class ReceivingWorld:
    """Route `orders` to the lane `good`, its dead letters at `dead`. Only inside a running loop."""

    def __init__(
        self,
        *,
        memory: int = 2**20,
        batch: int = 100,
        largest: int = 2**20,
        dead_largest: int = 8 * 2**20,
        dead_memory: int = 16 * 2**20,
        dedupe: bool = False,
        schema: Schema | None = None,
    ) -> None:
        self.meter = Meter()
        self.good, self.lane = self._lane("good", memory, batch, largest)
        self.dead, grave = self._lane("dead", dead_memory, 1, dead_largest)
        self.dead_lane = grave
        letters = DeadLetters(grave)
        leg = Leg(self.lane, Terms("orders", required=True, patient=False, graveyard=letters), "original")
        self.route = Route("orders", (leg,), dead_letters=letters, schema=schema)
        self.pipeline = Pipeline({"orders": self.route}, {"good": self.lane, "dead": grave}, [letters])
        settings = Dedupe() if dedupe else None
        codec = Plain(Plain.Config(type="plain"), Caps(2**20, 100, 32))
        self.handover = Handover("incoming", self.pipeline, codec, self.meter, dedupe=settings)
        self.ear = Ear()

    def _lane(self, name: str, memory: int, batch: int, largest: int) -> tuple[Scripted, Lane]:
        config = Scripted.Config(
            type="x", memory=memory, batch=batch, largest=largest, concurrency=4, concurrency_floor=4
        )
        sink = Scripted(name, config)
        return sink, Lane(name, sink, config, self.meter)

    def flow(self, name: str = "flow") -> Flow:
        """A new flow to the route."""
        return Flow(name, self.handover.routes["orders"], self.handover, self.ear)

    async def until(self, holds: Callable[[], object]) -> None:
        """Return once this holds; the loop's clock is the test's own."""
        for _ in range(10_000):
            if holds():
                return
            await asyncio.sleep(0.001)
        raise AssertionError("it never came to that")

    async def idle(self) -> None:
        """Return once nothing more can happen at once."""
        for _ in range(100):
            await asyncio.sleep(0)


def message(number: int, *, id: str | None = None, size: int = 0) -> Received:
    """A message of one event, of at least `size` bytes."""
    named = f',"id":"{id}"' if id else ""
    return raw(b'{"number":%d%s,"pad":"%s"}' % (number, named.encode(), b"x" * size), place=f"place-{number}")


def raw(value: bytes, place: str = "place") -> Received:
    """A message of these bytes."""
    return Received(Message(value, {}), place, len(value))


def numbers(sink: Scripted) -> list[int]:
    """What a sink took, in order."""
    return [int(event.body.partition(b'"number": ')[2].partition(b",")[0].rstrip(b"}")) for event in sink.taken]
