"""What a consumer's thread does when partitions come and go, with a scripted consumer and listener."""

import asyncio
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from types import SimpleNamespace
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException, TopicPartition

from service.sources.kafka.condition import Condition
from service.sources.kafka.membership import Membership
from service.sources.kafka.partition import Key


class Told:
    """Notes what the loop is told, and answers at once what is to be committed."""

    def __init__(self, positions: Mapping[Key, int] | None = None) -> None:
        self.events: list[tuple[str, object]] = []
        self.positions = positions

    def assigned(self, keys: Sequence[Key]) -> None:
        self.events.append(("assigned", list(keys)))

    def revoking(self, keys: Sequence[Key], result: "Future[dict[Key, int]]") -> None:
        self.events.append(("revoking", list(keys)))
        if self.positions is not None:
            result.set_result(dict(self.positions))

    def gone(self, keys: Sequence[Key]) -> None:
        self.events.append(("gone", list(keys)))

    def troubled(self, trouble: str | None) -> None:
        self.events.append(("troubled", trouble))


class Scripted:
    """A consumer that notes what is asked of it, and fails what it is told to."""

    def __init__(
        self, failing: str = "", committed: Mapping[int, int] | None = None, untold: Sequence[int] | set[int] = ()
    ) -> None:
        self.asked: list[tuple[str, list[tuple[int, int]]]] = []
        self._failing = failing
        self._committed = committed or {}
        self._untold = untold

    def _note(self, what: str, partitions: Sequence[TopicPartition]) -> None:
        self.asked.append((what, [(each.partition, each.offset) for each in partitions]))
        if what == self._failing:
            raise KafkaException(KafkaError(KafkaError._TRANSPORT))

    def commit(self, *, offsets: Sequence[TopicPartition], asynchronous: bool) -> None:
        assert asynchronous, "nobody knows when the answer comes"
        self._note("commit", offsets)

    def resume(self, partitions: Sequence[TopicPartition]) -> None:
        self._note("resume", partitions)

    def incremental_assign(self, partitions: Sequence[TopicPartition]) -> None:
        self._note("assign", partitions)

    def committed(self, partitions: Sequence[TopicPartition], timeout: float) -> list[TopicPartition]:
        del timeout
        self._note("committed", [])
        found: list[Any] = []
        for p in partitions:
            error = KafkaError(KafkaError.COORDINATOR_LOAD_IN_PROGRESS) if p.partition in self._untold else None
            offset = self._committed.get(p.partition, -1001)
            found.append(SimpleNamespace(topic=p.topic, partition=p.partition, offset=offset, error=error))
        return found

    def offsets_for_times(self, partitions: Sequence[TopicPartition], timeout: float) -> list[TopicPartition]:
        del timeout
        self._note("times", partitions)
        return [TopicPartition(p.topic, p.partition, 77) for p in partitions]


def parts(*numbers: int) -> list[TopicPartition]:
    return [TopicPartition("t", number) for number in numbers]


def keys(*numbers: int) -> list[Key]:
    return [("t", number) for number in numbers]


def membership(told: Told, start_ms: int | None = None) -> Membership:
    loop = asyncio.get_running_loop()
    listener: Any = told
    condition = Condition("s", ["t"], listener, loop)
    return Membership("s", listener, loop, condition, revoke_seconds=0, start_ms=start_ms)


async def in_thread(act: Any, *arguments: Any) -> None:
    """As the consumer's thread calls it, with everything told that it tells."""
    await asyncio.to_thread(act, *arguments)
    await asyncio.sleep(0)


async def test_what_the_loop_asked_for_in_an_assignment_that_is_over_is_not_done() -> None:
    told, consumer = Told({}), Scripted()
    ours = membership(told)
    await in_thread(ours.assigned, consumer, parts(0, 1))
    assert ours.still(keys(0, 1, 2), ours.heard) == keys(0, 1)
    heard = ours.heard
    await in_thread(ours.lost, consumer, parts(0))
    assert ours.still(keys(0, 1), heard) == keys(1)
    await in_thread(ours.assigned, consumer, parts(0))
    assert ours.still(keys(0, 1), heard) == keys(1), "asked for before the loop knew of the new assignment"
    assert ours.still(keys(0, 1), ours.heard) == keys(0, 1)
    ours.end()
    assert ours.still(keys(0, 1), ours.heard) == []


async def test_what_goes_is_committed_and_resumed_before_it_is_gone() -> None:
    told, consumer = Told({("t", 0): 5}), Scripted()
    ours = membership(told)
    await in_thread(ours.assigned, consumer, parts(0, 1))
    ours.paused.update(keys(0, 1))
    await in_thread(ours.revoked, consumer, parts(0))
    assert consumer.asked == [("commit", [(0, 5)]), ("resume", [(0, -1001)])]
    assert told.events[1:] == [("revoking", keys(0)), ("gone", keys(0))]
    assert ours.paused == set(keys(1))


async def test_a_partition_whose_offset_cannot_be_told_does_not_begin_at_a_time() -> None:
    consumer = Scripted(committed={0: 5}, untold={1})
    ours = membership(Told({}), start_ms=1000)
    await in_thread(ours.assigned, consumer, parts(0, 1, 2))
    assert consumer.asked[-2:] == [("times", [(2, 1000)]), ("assign", [(0, 5), (1, -1001), (2, 77)])]


async def test_what_is_lost_is_gone_without_a_commit() -> None:
    told, consumer = Told({("t", 0): 5}), Scripted()
    ours = membership(told)
    await in_thread(ours.assigned, consumer, parts(0))
    await in_thread(ours.lost, consumer, parts(0))
    assert consumer.asked == []
    assert told.events[-1] == ("gone", keys(0))


async def test_what_cannot_be_committed_goes_all_the_same() -> None:
    told, consumer = Told({("t", 0): 5}), Scripted(failing="commit")
    ours = membership(told)
    await in_thread(ours.assigned, consumer, parts(0))
    await in_thread(ours.revoked, consumer, parts(0))
    assert told.events[-1] == ("gone", keys(0))


async def test_a_loop_that_does_not_answer_does_not_keep_the_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.sources.kafka.membership.ASK_SECONDS", 0)
    told, consumer = Told(None), Scripted()
    ours = membership(told)
    await in_thread(ours.assigned, consumer, parts(0))
    await in_thread(ours.revoked, consumer, parts(0))
    assert told.events[-1] == ("gone", keys(0))


async def test_a_partition_begins_at_a_time_only_if_the_group_has_committed_nothing() -> None:
    consumer = Scripted(committed={1: 40})
    await in_thread(membership(Told({}), start_ms=1234).assigned, consumer, parts(0, 1))
    assert consumer.asked[-2:] == [("times", [(0, 1234)]), ("assign", [(0, 77), (1, 40)])]


async def test_where_the_time_cannot_be_found_out_nothing_is_left_out() -> None:
    consumer = Scripted(failing="times")
    await in_thread(membership(Told({}), start_ms=1234).assigned, consumer, parts(0, 1))
    assert consumer.asked[-1] == ("assign", [(0, -1001), (1, -1001)])
