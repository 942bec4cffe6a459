"""Dead letters under trouble of their own: what waits for them is bounded, and each entry still ends once."""

import asyncio
import random
from typing import Any

import orjson
import pytest

from service.delivery import deadletter
from service.delivery.deadletter import DeadLetters, largest_envelope
from service.delivery.entry import Entry, Terms
from service.delivery.lane import Lane
from service.event import Event
from service.outcome import Reason
from service.receipt import Fate, Receipt
from service.sinks.contract import Limits, SinkConfig
from service.telemetry.meter import Meter
from tests.flow.scripted import Faults, ScriptedSink, all_settled, assert_conserved, event, lane
from tests.flow.shards import Shards
from tests.flow.simulated import run

ROOMY = Limits(batch_events=5, batch_bytes=200_000, event_bytes=100_000)


class World:
    """A lane whose sink rejects everything, before a dead-letter lane."""

    def __init__(self, required: bool = True, letter_limits: Limits = ROOMY, **dead: object) -> None:
        self.meter = Meter()
        self.sink = ScriptedSink(Faults(rejected=1.0), random.Random(1))
        self.dead_sink = ScriptedSink(Faults(), random.Random(2), limits=letter_limits)
        self.lane = lane(self.sink, self.meter, "s")
        self.dead = lane(self.dead_sink, self.meter, "d", seed=0, **dead)
        self.letters = DeadLetters(self.dead)
        self.terms = Terms("r", required=required, patient=False, graveyard=self.letters)

    def put(self, count: int, size: int = 100, first: int = 0) -> Receipt:
        receipt = Receipt([("s",)] * count)
        entries = []
        for index in range(count):
            one = event(first + index, size)
            owner = receipt if self.terms.required else None
            entries.append(Entry(one, one, self.lane.size(one), one.charge, self.terms, "s", owner, index))
        self.lane.put(entries)
        return receipt

    def fates(self, name: str) -> dict[str, int]:
        found: dict[str, int] = {}
        for (sink, _, fate, _), count in self.meter.lane_settled.items():
            if sink == name:
                found[fate] = found.get(fate, 0) + count
        return found

    def check(self) -> None:
        assert_conserved(self.meter, [self.lane, self.dead])


def settlements(receipt: Receipt, count: int) -> set[tuple[Fate, bool]]:
    found = [receipt.failures(index)["s"] for index in range(count)]
    return {(each.fate, each.refused) for each in found}


def test_a_rejected_event_is_answered_once_its_dead_letter_is_acknowledged() -> None:
    async def main() -> None:
        w = World()
        receipt = w.put(20)
        await all_settled(receipt)
        assert settlements(receipt, 20) == {(Fate.DEAD_LETTERED, True)}
        assert sum(w.dead_sink.taken.values()) == 20
        w.check()

    run(main())


def test_while_the_dead_letter_sink_is_down_a_rejection_is_answered_at_the_deadline_and_no_letter_is_kept() -> None:
    async def main() -> None:
        w = World(memory="64KiB")
        w.dead_sink.dead = True
        start = asyncio.get_running_loop().time()
        receipt = w.put(200, 2000)
        await all_settled(receipt)
        assert asyncio.get_running_loop().time() <= start + 20
        assert settlements(receipt, 200) == {(Fate.REJECTED, True)}
        assert w.lane.held_events == 0
        assert 0 < w.dead.held_events < 60, "only what found room is still to be written"
        w.dead_sink.dead = False
        await w.dead.books.emptied()
        assert sum(w.dead_sink.taken.values()) < 60, "a withdrawn letter is not written later"
        w.check()

    run(main())


def test_a_best_effort_event_without_room_among_the_dead_letters_is_dropped_and_counted() -> None:
    async def main() -> None:
        w = World(required=False, memory="64KiB")
        w.dead_sink.dead = True
        w.put(200, 2000)
        await asyncio.sleep(60)
        fates = w.fates("s")
        assert fates["dropped"] > 100
        assert w.lane.held_events == 200 - fates["dropped"], "the others wait for their letters"
        w.dead_sink.dead = False
        await w.lane.books.emptied()
        assert w.fates("s") == {"dropped": fates["dropped"], "dead_lettered": 200 - fates["dropped"]}
        w.check()

    run(main())


def test_a_letter_larger_than_its_sink_takes_is_never_given_to_it() -> None:
    async def main() -> None:
        w = World(letter_limits=Limits(batch_events=5, batch_bytes=20_000, event_bytes=20_000))
        receipt = w.put(3, 4000)
        await all_settled(receipt)
        assert settlements(receipt, 3) == {(Fate.REJECTED, True)}
        assert not w.dead_sink.calls
        kept = w.letters.bury_invalid(event(9, 50_000), "too large", (), lambda _: None)
        assert not kept
        w.check()

    run(main())


def test_a_dead_letter_has_no_patience() -> None:
    async def main() -> None:
        w = World()
        w.dead_sink.dead = True
        answers: list[bool] = []
        assert w.letters.bury_invalid(event(1), "why", (), answers.append)
        await asyncio.sleep(3600)
        assert answers == []
        w.dead_sink.dead = False
        await w.dead.books.emptied()
        assert answers == [True]

    run(main())


def test_closing_gives_up_what_still_waits_for_room() -> None:
    async def main() -> None:
        w = World(memory="64KiB")
        w.dead_sink.dead = True
        receipt = w.put(100, 2000)
        await asyncio.sleep(1)
        w.letters.close()
        await w.dead.abandon()
        w.lane.books.end_burials()
        assert receipt.done
        assert settlements(receipt, 100) == {(Fate.REJECTED, True)}
        assert w.lane.held_events == w.dead.held_events == 0
        w.check()

    run(main())


def test_the_letter_says_what_happened() -> None:
    class Keeping(ScriptedSink):
        async def write(self, batch):  # type: ignore[no-untyped-def]
            bodies.extend(e.body for e in batch.events)
            return await super().write(batch)

    bodies: list[bytes] = []

    async def main() -> None:
        w = World()
        keeping = Keeping(Faults(), random.Random(2), limits=ROOMY)
        w.dead = lane(keeping, w.meter, "d")
        w.terms = Terms("r", required=True, patient=False, graveyard=DeadLetters(w.dead))
        await all_settled(w.put(1))
        letter = orjson.loads(bodies[0])
        assert letter["reason"] == Reason.REFUSED_CONTENT
        assert (letter["sink"], letter["route"], letter["attempts"]) == ("s", "r", 1)
        assert letter["body"] == "x" * 100
        assert len(bodies[0]) <= largest_envelope(100)

    run(main())


def test_letters_go_to_the_partitions_of_their_keys() -> None:
    async def main() -> None:
        meter = Meter()
        shards = Shards(shards=4, rate=1000)
        dead = Lane("d", shards, SinkConfig.model_validate({"type": "shards"}), meter, random.Random(3))
        letters = DeadLetters(dead)
        kept: list[bool] = []
        for number in range(40):
            letters.bury_invalid(event(number, key=str(number)), "invalid", (), kept.append)
        assert len(dead.books.partition_bytes) == 4
        await dead.books.emptied()
        assert kept == [True] * 40

    run(main())


def test_a_letter_that_cannot_be_written_holds_up_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    def enveloped(letter: Any) -> Event:
        if letter.event.id == "e20":
            raise RuntimeError("scripted")
        return whole(letter)

    whole = deadletter.enveloped
    monkeypatch.setattr(deadletter, "enveloped", enveloped)

    async def main() -> None:
        w = World(memory="64KiB")
        receipt = w.put(60, 2000)
        await all_settled(receipt)
        assert sum(w.dead_sink.taken.values()) == 59
        assert receipt.failures(20)["s"].fate is Fate.REJECTED
        w.check()

    run(main())
