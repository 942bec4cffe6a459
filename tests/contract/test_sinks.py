"""The contract of `service.sinks.contract.Sink`, held against every sink through its harness."""

import asyncio
from collections import Counter
from collections.abc import Sequence

import pytest
from msgspec.structs import replace

from service.event import Event, Origin, Trace
from service.outcome import Delivered, Outcome, Reason, Rejected, Retry
from service.sinks.contract import Batch, ProbeError, Sink
from tests.contract.harness import Fault, Harness, discover, sized

PROMPTLY = 5.0
"""Seconds after which something that should end is declared stuck; nothing waits for it to pass."""


def over(fault: Fault | None = None) -> pytest.MarkDecorator:
    """Runs a test with every harness, or with those that offer `fault`."""
    kinds = [kind for kind in discover() if fault is None or fault in kind.faults]
    return pytest.mark.parametrize("kind", kinds, ids=lambda kind: kind.name)


async def write(sink: Sink, events: Sequence[Event]) -> list[Outcome]:
    """One write. What raising says, that nothing is known of any event, is a Retry here as in the lane."""
    assert len(events) <= sink.limits.batch_events, "the suite keeps the sink's limits, as the lane does"
    try:
        outcomes = list(await sink.write(Batch(events)))
    except Exception:
        # any exception is a sink's way to say that nothing is known
        return [Retry(Reason.SINK_ERROR)] * len(events)
    assert len(outcomes) == len(events)
    return outcomes


async def write_all(sink: Sink, events: Sequence[Event]) -> dict[str, Outcome]:
    """Outcomes by id, in writes of as many events as the sink takes, writing again what one had no room for."""
    settled: dict[str, Outcome] = {}
    left = list(events)
    while left:
        sent, rest = left[: sink.limits.batch_events], left[sink.limits.batch_events :]
        outcomes = await write(sink, sent)
        again = [e for e, o in zip(sent, outcomes, strict=True) if _had_no_room(o)]
        settled |= {e.id: o for e, o in zip(sent, outcomes, strict=True) if not _had_no_room(o)}
        assert len(again) < len(sent), "a write that has room for no event at all"
        left = again + rest
    return settled


def batch(harness: Harness, sink: Sink, count: int) -> list[Event]:
    """`count` events, or as many of them as one write of the sink may hold."""
    return [harness.event(n) for n in range(min(count, sink.limits.batch_events))]


def _had_no_room(outcome: Outcome) -> bool:
    return isinstance(outcome, Retry) and outcome.reason is Reason.NO_ROOM


def delivered(outcomes: dict[str, Outcome]) -> set[str]:
    """Ids of the delivered events."""
    return {name for name, outcome in outcomes.items() if isinstance(outcome, Delivered)}


async def bodies(harness: Harness) -> Counter[bytes]:
    """What the destination holds, with how often."""
    return Counter(each.body for each in await harness.received())


@over()
async def test_each_event_has_one_outcome_and_arrives_once(harness: Harness) -> None:
    events = [harness.event(n) for n in range(25)]
    async with harness.sink() as sink:
        outcomes = await write_all(sink, events)
    assert delivered(outcomes) == {e.id for e in events}
    assert await bodies(harness) == Counter(e.body for e in events)


@over()
async def test_a_write_of_one_event_is_delivered(harness: Harness) -> None:
    async with harness.sink() as sink:
        assert [type(o) for o in await sink.write(Batch([harness.event(0)]))] == [Delivered]
    assert await bodies(harness) == Counter([harness.event(0).body])


@over()
async def test_the_same_event_may_be_written_again(harness: Harness) -> None:
    async with harness.sink() as sink:
        for _ in range(2):
            assert [type(o) for o in await sink.write(Batch([harness.event(0)]))] == [Delivered]
    assert set(await bodies(harness)) == {harness.event(0).body}


@over()
async def test_an_event_exactly_at_the_limit_is_taken(harness: Harness) -> None:
    async with harness.sink() as sink:
        limits = sink.limits
        largest = harness.event(0)
        room = limits.event_bytes - limits.overhead_bytes - len((largest.key or "").encode())
        largest = sized(largest, room)
        assert [type(o) for o in await sink.write(Batch([largest]))] == [Delivered]
    assert await bodies(harness) == Counter([largest.body])


@over()
async def test_a_write_of_as_many_events_as_the_limit_allows_is_taken(harness: Harness) -> None:
    async with harness.sink() as sink:
        limits = sink.limits
        # events of different lengths must not make the last ones overstep the bytes
        longest = len(harness.event(limits.batch_events).body) + 32 + limits.overhead_bytes
        events = [harness.event(n) for n in range(min(limits.batch_events, limits.batch_bytes // longest))]
        outcomes = await write_all(sink, events)
    assert delivered(outcomes) == {e.id for e in events}
    assert await bodies(harness) == Counter(e.body for e in events)


@over()
async def test_a_write_of_exactly_the_most_bytes_is_taken(harness: Harness) -> None:
    async with harness.sink() as sink:
        limits = sink.limits
        events: list[Event] = []
        left = limits.batch_bytes
        while left > 1000 + limits.overhead_bytes and len(events) < limits.batch_events:
            made = harness.event(len(events))
            around = limits.overhead_bytes + len((made.key or "").encode())
            events.append(sized(made, min(left, limits.event_bytes) - around))
            left -= len(events[-1].body) + around
        outcomes = await write_all(sink, events)
    assert delivered(outcomes) == {e.id for e in events}
    assert await bodies(harness) == Counter(e.body for e in events)


@over()
async def test_writes_at_the_same_time_keep_their_outcomes_apart(harness: Harness) -> None:
    groups = [[harness.event(100 * n + m) for m in range(n + 1)] for n in range(8)]
    async with harness.sink() as sink:
        answers = await asyncio.gather(*(write_all(sink, group) for group in groups))
    assert [delivered(a) for a in answers] == [{e.id for e in group} for group in groups]
    assert await bodies(harness) == Counter(e.body for group in groups for e in group)


@over(Fault.PARTIAL)
@pytest.mark.parametrize("failing", [{0}, {3}, {1, 2}, {0, 1, 2, 3}], ids=str)
async def test_a_partial_failure_is_told_by_position_and_mends(harness: Harness, failing: set[int]) -> None:
    async with harness.sink() as sink:
        events = batch(harness, sink, 4)
        failing = {min(n, len(events) - 1) for n in failing}
        await harness.fail_events(failing)
        told = await write(sink, events)
        assert {n for n, o in enumerate(told) if isinstance(o, Retry)} == failing
        assert {n for n, o in enumerate(told) if isinstance(o, Delivered)} == set(range(len(events))) - failing
        await harness.recover()
        again = await write_all(sink, [events[n] for n in sorted(failing)])
    assert delivered(again) == {events[n].id for n in failing}
    assert await bodies(harness) == Counter(e.body for e in events)


@over(Fault.CALL)
async def test_a_failed_call_is_a_retry_for_the_whole_batch_and_mends(harness: Harness) -> None:
    async with harness.sink() as sink:
        events = batch(harness, sink, 5)
        await harness.fail_calls()
        assert {type(o) for o in await write(sink, events)} == {Retry}
        await harness.recover()
        assert delivered(await write_all(sink, events)) == {e.id for e in events}
    assert await bodies(harness) == Counter(e.body for e in events)


@over(Fault.WRONG_LENGTH)
@pytest.mark.parametrize("count", [1, 2, 7])
async def test_an_answer_of_the_wrong_length_delivers_nothing(harness: Harness, count: int) -> None:
    async with harness.sink() as sink:
        await harness.answer_wrong_length()
        outcomes = await write(sink, batch(harness, sink, count))
    assert {type(o) for o in outcomes} == {Retry}
    assert all(isinstance(o, Retry) and o.reason.may_have_written for o in outcomes)


@over(Fault.REFUSE)
async def test_what_the_destination_never_takes_is_rejected_each_time_and_harms_nothing_else(
    harness: Harness,
) -> None:
    poison = harness.poison(1)
    async with harness.sink() as sink:
        events = [harness.event(0), poison, harness.event(2)]
        outcomes = await write_all(sink, events)
        assert [type(outcomes[e.id]) for e in events] == [Delivered, Rejected, Delivered]
        assert {type(o) for o in await write(sink, [poison])} == {Rejected}
    assert await bodies(harness) == Counter([events[0].body, events[2].body])


@over(Fault.REFUSE)
async def test_rejections_in_simultaneous_writes_stay_in_their_own_write(harness: Harness) -> None:
    groups = [[harness.event(10 * n + m) for m in range(4)] for n in range(6)]
    for n, group in enumerate(groups):
        group[n % 4] = harness.poison(10 * n + n % 4)
    async with harness.sink() as sink:
        answers = await asyncio.gather(*(write_all(sink, group) for group in groups))
    for n, (group, answer) in enumerate(zip(groups, answers, strict=True)):
        assert [m for m, e in enumerate(group) if isinstance(answer[e.id], Rejected)] == [n % 4]
        assert len(delivered(answer)) == 3


@over(Fault.HANG)
async def test_a_cancelled_write_ends_promptly_and_the_next_one_works(harness: Harness) -> None:
    async with harness.sink() as sink:
        waiting = harness.hang()
        call = asyncio.ensure_future(sink.write(Batch(batch(harness, sink, 3))))
        async with asyncio.timeout(PROMPTLY):
            await waiting
        assert not call.done()
        call.cancel()
        done, _ = await asyncio.wait({call}, timeout=PROMPTLY)
        assert done, "the cancelled write did not end"
        assert call.cancelled()
        await harness.recover()
        after = [harness.event(n) for n in range(10, 13)]
        assert delivered(await write_all(sink, after)) == {e.id for e in after}
    assert set(await bodies(harness)) >= {e.body for e in after}


@over(Fault.HANG)
async def test_leaving_after_a_cancelled_write_ends_promptly(harness: Harness) -> None:
    sink = await harness.sink().__aenter__()
    waiting = harness.hang()
    call = asyncio.ensure_future(sink.write(Batch([harness.event(0)])))
    async with asyncio.timeout(PROMPTLY):
        await waiting
    call.cancel()
    await asyncio.wait({call}, timeout=PROMPTLY)
    async with asyncio.timeout(PROMPTLY):
        await sink.__aexit__(None, None, None)
    assert call.cancelled()


@over()
async def test_a_probe_of_a_usable_destination_passes_and_sends_nothing(harness: Harness) -> None:
    async with harness.sink() as sink:
        await sink.probe()
    assert await harness.received() == []


@over(Fault.MISSING)
async def test_a_probe_of_a_missing_destination_says_so_in_a_sentence(harness: Harness) -> None:
    async with harness.missing() as sink:
        with pytest.raises(ProbeError) as caught:
            await sink.probe()
    assert len(str(caught.value).split()) >= 5


@over()
async def test_attributes_come_back_as_headers_where_they_are_carried(harness: Harness) -> None:
    made = harness.event(0)
    async with harness.sink() as sink:
        await write_all(sink, [made])
        carried = sink.carries_attributes
    [held] = await harness.received()
    expected = {f"ce_{name}": value for name, value in made.attributes.items()} if carried else {}
    assert {name: value for name, value in held.headers.items() if name.startswith("ce_")} == expected


@over()
async def test_its_position_in_a_trace_goes_out_beside_an_event_where_there_are_headers(harness: Harness) -> None:
    told = {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "tracestate": "a=1"}
    origin = Origin("http", 0.0, trace=Trace(told["traceparent"], told["tracestate"]))
    async with harness.sink() as sink:
        await write_all(sink, [replace(harness.event(0), origin=origin)])
    [held] = await harness.received()
    carried = {name: value for name, value in held.headers.items() if name in told}
    assert carried == (told if harness.traced else {})


@over()
async def test_settings_that_do_not_exist_are_refused(harness: Harness) -> None:
    config = harness.sink().Config
    with pytest.raises(ValueError, match="not_a_setting"):
        config.model_validate({"type": harness.name, "not_a_setting": 1})
