"""The contract of `service.receiving.contract.Source`, held against every source through its harness."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from service.config import load
from service.doctor.collecting import examine
from service.event import DEAD_LETTER, Event
from service.finding import Level
from service.outcome import Reason
from service.plugins import known
from tests.contract.plain_codec import BROKEN, RAISES, TEST
from tests.contract.source_harness import SourceHarness, discover
from tests.http.running import Service, running
from tests.http.scripted import Scripted, entered

KINDS = [pytest.param(kind, id=kind.name) for kind in discover()]
ASKING = [pytest.param(kind, id=kind.name) for kind in discover() if kind.asks]
LATER_SECONDS = 0.6
"""After which a sink asks to be called again: by then whatever a source acknowledges together with others has gone."""
BODIES = [b'{"number":%d}' % number for number in range(5)]


def configuration(
    settings: Mapping[str, Any], good: Mapping[str, Any] | None = None, dead: Mapping[str, Any] | None = None
) -> str:
    """A service with one source, and settings of its sinks beside those that they have."""
    tree = {
        "sinks": {
            "good": {"type": "tests.http.scripted:Scripted", **(good or {})},
            "dead": {"type": "tests.http.scripted:Scripted", "largest": "8MiB", **(dead or {})},
        },
        "routes": {"orders": {"to": ["good"], "dead_letter": "dead"}},
        "sources": {"incoming": {"codec": {"type": "tests.contract.plain_codec:Plain"}, **settings}},
    }
    return json.dumps(tree)


class World:
    """A running service with one source and its fake."""

    def __init__(self, service: Service, harness: SourceHarness) -> None:
        self.service = service
        self.source = harness

    @property
    def good(self) -> Scripted:
        return self.service.sinks["good"]

    @property
    def dead(self) -> Scripted:
        return self.service.sinks["dead"]

    async def delivered(self, count: int) -> list[bytes]:
        """What the sink took, once it is so much."""
        async with asyncio.timeout(30):
            while len(self.good.taken) < count:
                await asyncio.sleep(0.005)
        return [_plain(event) for event in self.good.taken]

    async def letters(self, count: int) -> list[dict[str, object]]:
        """The dead letters, once there are so many."""
        async with asyncio.timeout(30):
            while len(self.dead.taken) < count:
                await asyncio.sleep(0.005)
        assert {event.attributes["type"] for event in self.dead.taken} <= {DEAD_LETTER}
        return [json.loads(event.body) for event in self.dead.taken]


def _plain(event: Event) -> bytes:
    return json.dumps(json.loads(event.body), separators=(",", ":")).encode()


@asynccontextmanager
async def world(kind: type[SourceHarness], *, bounded: bool = False) -> AsyncIterator[World]:
    """The service runs; when it ends, its books balance, and no task, thread or socket of it is left."""
    async with kind() as harness, running(configuration(harness.settings(bounded=bounded))) as service:
        yield World(service, harness.serving(service))


@pytest.mark.parametrize("kind", KINDS)
async def test_what_is_delivered_is_acknowledged_once(kind: type[SourceHarness]) -> None:
    async with world(kind) as it:
        await it.source.send(BODIES)
        assert sorted(await it.source.acknowledged(5)) == BODIES
        assert sorted(await it.delivered(5)) == BODIES


@pytest.mark.parametrize("kind", KINDS)
async def test_nothing_is_acknowledged_before_it_is_settled(kind: type[SourceHarness]) -> None:
    async with world(kind) as it:
        it.good.retry(after=LATER_SECONDS)
        await it.source.send(BODIES)
        await it.good.called(2)
        assert await it.source.acknowledged_now() == []
        it.good.deliver()
        assert sorted(await it.source.acknowledged(5)) == BODIES


@pytest.mark.parametrize("kind", KINDS)
async def test_what_a_sink_refuses_is_a_dead_letter_and_acknowledged(kind: type[SourceHarness]) -> None:
    async with world(kind) as it:
        it.good.reject(lambda event: b"2" in event.body)
        await it.source.send(BODIES)
        await it.source.acknowledged(5)
        [letter] = await it.letters(1)
        assert letter["reason"] == Reason.REFUSED_CONTENT
        assert letter["source"] == "incoming"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("bad", [BROKEN, RAISES, b"\n"], ids=["refused", "raises", "unreadable"])
async def test_a_message_that_is_no_event_is_a_dead_letter_whole_and_acknowledged(
    kind: type[SourceHarness], bad: bytes
) -> None:
    async with world(kind) as it:
        await it.source.send([BODIES[0], bad, BODIES[1]])
        assert sorted(await it.source.acknowledged(3)) == sorted([BODIES[0], bad, BODIES[1]])
        [letter] = await it.letters(1)
        assert str(letter["body"]).encode() == bad
        assert letter["reason"] == Reason.INVALID
        assert await it.delivered(2) == BODIES[:2]


@pytest.mark.parametrize("kind", KINDS)
async def test_a_refused_message_is_not_acknowledged_before_its_dead_letter_is_safe(kind: type[SourceHarness]) -> None:
    async with world(kind) as it:
        it.dead.retry(after=LATER_SECONDS)
        await it.source.send([BROKEN])
        await it.dead.called(2)
        assert await it.source.acknowledged_now() == []
        it.dead.deliver()
        assert await it.source.acknowledged(1) == [BROKEN]


@pytest.mark.parametrize("kind", KINDS)
async def test_a_message_without_an_event_is_passed_over_counted_and_acknowledged(kind: type[SourceHarness]) -> None:
    async with world(kind) as it:
        await it.source.send([TEST])
        assert await it.source.acknowledged(1) == [TEST]
        metrics = await it.service.metrics()
        assert metrics.total("penstock_source_messages_skipped_total", source="incoming", why="test") == 1
        assert it.good.taken == it.dead.taken == []


@pytest.mark.parametrize("kind", KINDS)
async def test_all_events_of_a_message_are_settled_before_it_is_acknowledged(kind: type[SourceHarness]) -> None:
    async with world(kind) as it:
        it.good.retry(after=LATER_SECONDS, when=lambda event: b"2" in event.body)
        await it.source.send([b'[{"number":1},{"number":2},{"number":3}]'])
        await it.delivered(2)
        await it.good.called(2)
        assert await it.source.acknowledged_now() == []
        it.good.deliver()
        await it.source.acknowledged(1)
        assert len(await it.delivered(3)) == 3


@pytest.mark.parametrize("kind", ASKING)
async def test_no_more_is_received_than_may_be_held(kind: type[SourceHarness]) -> None:
    async with world(kind, bounded=True) as it:
        it.good.hold()
        many = [b'{"number":%d}' % number for number in range(100)]
        await it.source.send(many)
        await it.source.taken(kind.least_held)
        held = range(kind.least_held, kind.most_held + 1)
        await it.service.until(
            lambda metrics: metrics.total("penstock_source_messages_unsettled", source="incoming") in held
        )
        assert await it.source.taken_now() in held
        it.good.deliver()
        assert sorted(await it.source.acknowledged(100)) == sorted(many)


@pytest.mark.parametrize("kind", KINDS)
async def test_what_is_not_settled_when_it_stops_is_not_acknowledged_and_is_there_for_others(
    kind: type[SourceHarness],
) -> None:
    async with world(kind) as it:
        it.good.hang()
        await it.source.send(BODIES)
        await it.good.called()
        it.service.stop.set()
        it.service.now.set()
        await it.source.available(5)
        await it.service.running
        assert await it.source.acknowledged_now() == []


@pytest.mark.parametrize("kind", KINDS)
async def test_what_is_under_way_when_it_stops_is_acknowledged_and_nothing_more_is_received(
    kind: type[SourceHarness],
) -> None:
    async with world(kind) as it:
        it.good.hold()
        await it.source.send(BODIES[:2])
        await it.good.called()
        await it.service.until(lambda metrics: metrics.total("penstock_source_messages_unsettled") == 2)
        it.service.stop.set()
        await it.source.send(BODIES[2:])
        it.good.deliver()
        assert sorted(await it.source.acknowledged(2)) == BODIES[:2]
        await it.service.running
        await it.source.available(3)
        assert sorted(await it.source.acknowledged_now()) == BODIES[:2]
        assert len(it.good.taken) == 2


@pytest.mark.parametrize("kind", ASKING)
async def test_trouble_is_a_sentence_that_goes_away_and_no_reason_to_end(kind: type[SourceHarness]) -> None:
    async with kind() as harness:
        harness.fail()
        async with running(configuration(harness.settings())) as service:
            it = World(service, harness)
            await service.until(lambda metrics: metrics.total("penstock_source_trouble", source="incoming") == 1)
            harness.recover()
            await harness.send(BODIES)
            assert sorted(await harness.acknowledged(5)) == BODIES
            await service.until(lambda metrics: metrics.total("penstock_source_trouble", source="incoming") == 0)
            assert sorted(await it.delivered(5)) == BODIES


@pytest.mark.parametrize("kind", KINDS)
async def test_a_source_that_is_not_entered_can_be_asked_whether_it_is_usable(
    kind: type[SourceHarness], tmp_path: Path
) -> None:
    async with kind() as harness:
        path = tmp_path / "penstock.yaml"
        path.write_text(configuration(harness.settings()))
        found = await examine(load(path, {}))
    entered.clear()
    [report] = [each for each in found if each.of == "source incoming"]
    assert {each.level for each in report.findings} <= {Level.OK, Level.NOTE, Level.WARNING}, report


def test_every_source_that_nobody_answers_has_a_harness() -> None:
    assert {kind.name.partition("-")[0] for kind in discover()} >= set(known("sources"))


@pytest.mark.parametrize("kind", KINDS)
def test_a_harness_stays_small(kind: type[SourceHarness]) -> None:
    path = Path(__file__).parent / f"{kind.__module__.rpartition('.')[2]}.py"
    assert len(path.read_text("utf-8").splitlines()) <= 60
