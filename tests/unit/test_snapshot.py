"""Snapshots of processes: they cross a pipe unchanged, are summed, and keep the books of those that are gone."""

import msgspec

from service.telemetry.journal import JournalGauges
from service.telemetry.lane import LaneGauges
from service.telemetry.meter import Meter
from service.telemetry.snapshot import Snapshot, read_counter, summed
from service.telemetry.standing import Standing, State

LOSS = ("expired", "worker_lost")


def process(scale: int = 1, **lane: object) -> Snapshot:
    """One that has counted something everywhere."""
    meter = Meter()
    meter.edge_received["http", "orders"] = 10 * scale
    meter.edge_rejected["http", "orders", "busy"] = scale
    meter.lane_received["lake", "orders"] = 9 * scale
    meter.lane_settled["lake", "orders", "delivered", ""] = 7 * scale
    meter.lane_held["lake", "orders"] = 2 * scale
    meter.lane_attempts["lake", "delivered"] = 3 * scale
    meter.lane_retries["lake", "throttled"] = scale
    meter.connections_open["server"] = 4 * scale
    meter.connections_refused["server"] = scale
    meter.requests_open, meter.body_bytes = 5 * scale, 600 * scale
    for _ in range(scale):
        meter.observe_request("orders", 200, 0.3)
    meter.journal_stored["orders"] = 8 * scale
    meter.journal_failed["orders"] = scale
    meter.journal_queued["orders"] = 3 * scale
    meter.journal_damaged, meter.journal_failures = 4 * scale, 2 * scale
    meter.cloudwatch_published, meter.cloudwatch_dropped = 6 * scale, 7 * scale
    for _ in range(scale):
        meter.journal_commit_seconds.observe(0.25)
        meter.journal_commit_events.observe(7)
    gauges = LaneGauges("lake", 100, 1000, 1, 4, 50, 500, 0.02, 1.5, "closed", 2, 0, None, None)
    gauges = msgspec.structs.replace(gauges, **lane)
    bills = {"lake": {"firehose_records": scale}}
    return Snapshot("serving", meter, [gauges], bills, [{"sink": "lake"}], journal(scale))


def journal(scale: int, trouble: str | None = None) -> JournalGauges:
    """One that grows in everything but the disk's free bytes."""
    return JournalGauges(10 * scale, 100, 1000 // scale, 5 * scale, float(scale), {("lake", "orders"): scale}, trouble)


def test_a_snapshot_crosses_a_pipe_as_it_is() -> None:
    sent = process(3)
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(sent), type=Snapshot, dec_hook=read_counter) == sent


def test_all_that_is_counted_is_summed_histograms_too() -> None:
    total = summed("serving", (process(1), process(2)))
    assert total.meter == process(3).meter
    assert total.bills == {"lake": {"firehose_records": 3}}
    ((_, histogram),) = total.meter.request_seconds.items()
    assert sum(histogram.counts) == 3
    assert histogram.total == 0.3 * 3


def test_a_sum_shares_nothing_with_its_parts() -> None:
    part = process()
    total = summed("serving", (part,))
    summed("serving", (total, part))
    total.meter.add(part.meter)
    total.bills["lake"]["firehose_records"] = 99
    assert part == process()


def test_of_lanes_what_is_held_is_summed_and_the_worst_state_told() -> None:
    first = process(base_seconds=0.0, breaker="open")
    standing = Standing(State.FAILING, 5.0, "timeout", ["calls fail: timeout"])
    second = process(
        base_seconds=0.04,
        breaker="half_open",
        failures=3,
        last_failure="timeout",
        oldest_seconds=9.0,
        standing=standing,
    )
    (lane,) = summed("serving", (first, second)).lanes
    assert lane == LaneGauges(
        "lake", 200, 2000, 2, 8, 100, 1000, 0.04, 9.0, "open", 4, failures=3, last_failure="timeout", standing=standing
    )


def test_the_counters_of_a_process_that_is_gone_stay_and_its_gauges_go() -> None:
    gone, living = process(2), process(1)
    before = summed("serving", (gone, living))
    gone.close(lambda sink, route: LOSS)
    after = summed("serving", (gone, living))
    for name in ("edge_received", "edge_rejected", "lane_received", "lane_attempts", "lane_retries", "request_seconds"):
        assert getattr(after.meter, name) == getattr(before.meter, name), name
    assert after.meter.connections_refused == before.meter.connections_refused
    assert after.bills == before.bills
    assert after.lanes == living.lanes
    assert after.troubles == living.troubles
    assert after.journal == living.journal
    for name in ("journal_stored", "journal_damaged", "journal_failures", "journal_commit_seconds"):
        assert getattr(after.meter, name) == getattr(before.meter, name), name
    assert after.meter.journal_queued == living.meter.journal_queued
    assert after.meter.journal_failed["orders"] == 3 + 6, "what a worker took and did not store was not answered"
    for name in ("connections_open", "requests_open", "body_bytes", "lane_held"):
        assert getattr(after.meter, name) == getattr(living.meter, name), name


def test_the_books_of_a_process_that_is_gone_balance() -> None:
    gone = process(2)
    gone.close(lambda sink, route: LOSS)
    assert gone.meter.lane_settled["lake", "orders", *LOSS] == 4
    assert gone.meter.lane_received.total() == gone.meter.lane_settled.total() + gone.meter.lane_held.total()
    gone.close(lambda sink, route: LOSS)
    assert gone.meter.lane_settled["lake", "orders", *LOSS] == 4, "what is given back is given back once"


def test_of_journals_the_oldest_and_the_fullest_disk_are_told_and_any_trouble() -> None:
    first, second = process(1), process(2)
    second.journal = journal(2, "the disk fails")
    assert summed("serving", (first, second)).journal == JournalGauges(
        30, 200, 500, 15, 2.0, {("lake", "orders"): 3}, "the disk fails"
    )
    first.journal = second.journal = None
    assert summed("serving", (first, second)).journal is None
