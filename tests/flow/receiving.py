"""A kafka source without Kafka: whatever its thread would tell is told by the test, and what it asks for is noted."""

import asyncio
import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future
from typing import Any, ClassVar

from confluent_kafka import Message

from service.codecs.draft import Caps
from service.codecs.selector import Selector
from service.delivery.deadletter import DeadLetters
from service.delivery.entry import Terms
from service.delivery.lane import Lane
from service.delivery.pipeline import Pipeline
from service.delivery.route import Leg, Route
from service.envelopes.json import Json
from service.outcome import DELIVERED, Outcome
from service.receiving.dedupe import Dedupe
from service.receiving.handover import Handover
from service.sinks.contract import Batch, Limits, SinkConfig
from service.sources.kafka.assignment import Assignment
from service.sources.kafka.partition import Key
from service.sources.kafka.source import Kafka
from service.telemetry.meter import Meter
from tests.flow.scripted import Faults, ScriptedSink

TOPIC = "orders"


def numbered(offset: int) -> bytes:
    """An event that is none other's."""
    return b'{"id":"%d"}' % offset


class Apart(ScriptedSink):
    """Takes each event in a call of its own, and answers when the test says so."""

    Config: ClassVar[type[SinkConfig]] = SinkConfig

    def __init__(self, limit: int = 2**20) -> None:
        super().__init__(Faults(), random.Random(1), limits=Limits(1, limit, limit))
        self.calls_of: dict[str, asyncio.Future[None]] = {}
        self.bodies: list[bytes] = []
        self.open = False

    async def write(self, batch: Batch) -> Sequence[Outcome]:
        (event,) = batch.events
        if not self.open:
            self.calls_of[event.origin.request_id] = asyncio.get_running_loop().create_future()
            await self.calls_of[event.origin.request_id]
        self.bodies.append(event.body)
        return [DELIVERED]

    def answer(self, partition: int, *offsets: int) -> None:
        """These messages are delivered."""
        for offset in offsets:
            self.calls_of.pop(f"{TOPIC}/{partition}/{offset}").set_result(None)

    def answer_all(self) -> None:
        """Everything is, from now on."""
        self.open = True
        for call in self.calls_of.values():
            call.set_result(None)
        self.calls_of.clear()


class Asked:
    """In the place of the thread: notes what it is asked for."""

    def __init__(self) -> None:
        self.committed: list[Mapping[Key, int]] = []
        self.paused: set[Key] = set()
        self.rewound: list[tuple[Key, int]] = []
        self.taken_batches = 0

    def taken(self) -> None:
        self.taken_batches += 1

    def pause(self, keys: Sequence[Key]) -> None:
        self.paused.update(keys)

    def resume(self, keys: Sequence[Key]) -> None:
        self.paused.difference_update(keys)

    def commit(self, positions: Mapping[Key, int]) -> None:
        self.committed.append(dict(positions))

    def rewind(self, key: Key, offset: int) -> None:
        self.rewound.append((key, offset))


class Receiving:
    """The source's part in the loop, over one route to one sink and a sink of dead letters."""

    def __init__(self, *, dedupe: Dedupe | None = None, letters_limit: int = 2**20, **settings: Any) -> None:
        self.meter = Meter()
        self.out, self.dead = Apart(), Apart(letters_limit)
        many = {"type": "apart", "concurrency": 1000, "concurrency_floor": 1000, "call_timeout": "1h"}
        config = SinkConfig.model_validate({**many, "patience": "3h"})
        lanes = {name: Lane(name, sink, config, self.meter) for name, sink in (("out", self.out), ("dead", self.dead))}
        letters = DeadLetters(lanes["dead"])
        leg = Leg(lanes["out"], Terms("r", required=True, patient=False, graveyard=letters), "original")
        route = Route("r", (leg,), id=Selector("/id"), dead_letters=letters)
        pipeline = Pipeline({"r": route}, lanes, [letters])
        codec = Json(Json.Config(type="json"), Caps(2**20, 1000, 32))
        self.handover = Handover("source", pipeline, codec, self.meter, dedupe=dedupe)
        given = {"type": "kafka", "brokers": "b:9092", "group": "g", "topics": {TOPIC: "r"}, **settings}
        self.asked = Asked()
        self.unrouted: set[str] = set()
        self.assignment = Assignment("source", Kafka.Config.model_validate(given), self.handover, self._routed)
        self.assignment.begin(self.asked)  # type: ignore[arg-type]

    def _routed(self, topic: str) -> Route:
        if topic in self.unrouted:
            raise LookupError(f"no route for {topic}")
        return self.handover.routes["r"]

    async def assigned(self, *partitions: int) -> None:
        self.assignment.assigned([(TOPIC, each) for each in partitions])
        await settle()

    async def gone(self, *partitions: int) -> None:
        self.assignment.gone([(TOPIC, each) for each in partitions])
        await settle()

    def revoking(self, *partitions: int) -> "Future[dict[Key, int]]":
        result: Future[dict[Key, int]] = Future()
        self.assignment.revoking([(TOPIC, each) for each in partitions], result)
        return result

    async def received(self, partition: int, offsets: Iterable[int], body: Callable[[int], bytes] = numbered) -> None:
        """Messages at these offsets came, of which `body` says what they hold."""
        made = [
            Message(
                topic=TOPIC,
                partition=partition,
                offset=offset,
                key=b"k",
                value=body(offset),
            )
            for offset in offsets
        ]
        self.assignment.received(made)
        await settle()

    async def ended(self, partition: int, offset: int) -> None:
        self.assignment.ended([((TOPIC, partition), offset)])
        await settle()

    async def answered(self, partition: int, *offsets: int) -> None:
        self.out.answer(partition, *offsets)
        await settle()

    def commits(self) -> dict[int, int]:
        """What the timer has committed now, by partition."""
        before = len(self.asked.committed)
        self.assignment.commit()
        return {number: at for each in self.asked.committed[before:] for (_, number), at in each.items()}


async def settle(turns: int = 30) -> None:
    """Let everything happen that waits for no timer."""
    for _ in range(turns):
        await asyncio.sleep(0)
