"""The picture of a service, from moments that a test made: rates, shares, books, bad ends."""

import msgspec

from service.admin.drawing import RATE_SECONDS, SHARE_SECONDS, draw
from service.admin.interval import Window
from service.admin.picture import Lane, Picture
from service.telemetry.journal import JournalGauges
from service.telemetry.source import SourceGauges
from service.telemetry.standing import Standing, State
from tests.unit.console_moments import EPOCH, ROUTES, TOPOLOGY, Past


def drawn(past: Past, window: Window, at: float, details: bool = False) -> Picture:
    window.add(past.moment(at))
    return draw(window, TOPOLOGY, ROUTES, details=details, workers=[])


def begun(past: Past) -> Window:
    window = Window(SHARE_SECONDS)
    window.add(past.moment(0))
    return window


def lane(found: Picture, name: str = "lake") -> Lane:
    return next(each for each in found.lanes if each.name == name)


def test_what_was_counted_in_the_last_seconds_is_a_rate_on_each_edge() -> None:
    past = Past()
    window = begun(past)
    past.deliver(300)
    past.meter.edge_received["incoming", "orders"] += 30
    past.meter.edge_rejected["incoming", "orders", "schema_violation"] += 6
    found = drawn(past, window, RATE_SECONDS)
    assert [(way.source, way.route, way.received, way.refused) for way in found.inflows] == [
        ("http", "orders", 100.0, 0.0),
        ("incoming", "orders", 10.0, 2.0),
    ]
    assert [(way.route, way.sink, way.kind, way.received) for way in found.outflows] == [
        ("orders", "lake", "required", 100.0),
        ("orders", "dead", "dead_letter", 0.0),
    ]
    assert (found.total.received, found.total.refused, found.total.delivered) == (110.0, 2.0, 100.0)
    assert (lane(found).type, lane(found).target, lane(found).delivered) == ("firehose", "deliveries", 100.0)


def test_rates_forget_what_was_before_their_seconds() -> None:
    past = Past()
    window = begun(past)
    past.deliver(900)
    drawn(past, window, 1)
    found = drawn(past, window, 1 + RATE_SECONDS)
    assert found.total.delivered == 0.0
    assert lane(found).success == 1.0, "shares look back further"
    assert drawn(past, window, 2 + SHARE_SECONDS).lanes[0].success is None


def test_success_is_the_share_of_the_events_tried_that_were_delivered() -> None:
    past = Past()
    window = begun(past)
    past.deliver(80)
    past.retry("timeout", 15)
    past.meter.lane_settled["lake", "orders", "dead_lettered", "refused_content"] += 5
    past.meter.lane_settled["lake", "orders", "expired", "timeout"] += 15  # the retry that was not to be, told already
    found = lane(drawn(past, window, RATE_SECONDS))
    assert found.success == 0.8
    assert (found.retried, found.dead_lettered, found.given_up) == (5.0, 1.67, 5.0)


def test_percentiles_are_of_the_deliveries_meanwhile() -> None:
    past = Past()
    past.meter.lanes["lake"].delivery_seconds.observe(50.0)
    window = begun(past)
    for _ in range(99):
        past.meter.lanes["lake"].delivery_seconds.observe(0.01)
    past.meter.lanes["lake"].delivery_seconds.observe(2.0)
    found = lane(drawn(past, window, 5))
    assert (found.p50_seconds, found.p99_seconds) == (0.01, 0.01)
    past.meter.lanes["lake"].delivery_seconds.observe(2.0)
    assert lane(drawn(past, window, 6)).p99_seconds == 2.0
    assert lane(drawn(past, window, 6), "dead").p99_seconds is None


def test_what_is_billed_is_a_rate_and_nothing_when_the_counter_is_new() -> None:
    past = Past()
    window = begun(past)
    past.bills = {"dead": {"sqs_billed_requests": 7}}
    assert lane(drawn(past, window, 1), "dead").billed == {"sqs_billed_requests": 0.0}
    window = begun(past)
    past.bills = {"dead": {"sqs_billed_requests": 13}}
    found = drawn(past, window, RATE_SECONDS)
    assert lane(found, "dead").billed == {"sqs_billed_requests": 2.0}
    assert lane(found).billed == {}


def test_a_counter_that_a_dead_worker_took_with_it_is_no_negative_rate() -> None:
    past = Past()
    past.deliver(100)
    past.bills = {"lake": {"firehose_records": 9}}
    window = begun(past)
    past.meter.lane_settled["lake", "orders", "delivered", ""] -= 30
    past.bills = {"lake": {"firehose_records": 5}}
    found = lane(drawn(past, window, RATE_SECONDS))
    assert (found.delivered, found.billed) == (0.0, {"firehose_records": 0.0})


def test_books_that_do_not_balance_say_where_and_by_how_much() -> None:
    past = Past()
    window = begun(past)
    past.deliver(10)
    past.meter.edge_received["http", "orders"] += 2
    past.meter.lane_received["lake", "orders"] += 2
    past.meter.lane_held["lake", "orders"] += 2
    assert drawn(past, window, 1).off == []
    past.meter.lane_held["lake", "orders"] -= 1
    past.meter.lane_settled["dead", "orders", "delivered", ""] += 3
    off = [(each.where, each.route, each.events) for each in drawn(past, window, 2).off]
    assert off == [("dead", "orders", -3), ("lake", "orders", 1)]


def test_an_event_that_was_taken_and_never_came_to_its_lane_is_missed_as_in_status() -> None:
    past = Past()
    window = begun(past)
    past.deliver(10)
    past.meter.edge_received["http", "orders"] += 2
    past.meter.edge_rejected["http", "orders", "busy"] += 1
    assert [(each.where, each.route, each.events) for each in drawn(past, window, 1).off] == [("lake", "orders", 1)]


def test_a_route_that_stores_has_books_at_the_journal_too() -> None:
    past = Past()
    window = begun(past)
    past.meter.edge_received["http", "kept"] += 10
    past.meter.edge_rejected["http", "kept", "busy"] += 2
    past.meter.journal_stored["kept"] += 5
    past.meter.journal_failed["kept"] += 1
    past.meter.journal_queued["kept"] += 2
    assert drawn(past, window, 1).off == []
    past.meter.journal_queued["kept"] -= 2
    assert [(each.where, each.route, each.events) for each in drawn(past, window, 2).off] == [("journal", "kept", 2)]


def test_the_last_bad_ends_come_latest_first_and_quote_no_event_unless_allowed() -> None:
    past = Past()
    window = begun(past)
    past.meter.note_last("http", "orders", "refused", "schema_violation", "e1", "'secret' is no number")
    past.meter.note_last("lake", "orders", "dead_lettered", "invalid", "e2", "'secret' is no number")
    past.meter.note_last("lake", "orders", "dead_lettered", "refused_content", "e3", "InvalidMessageContents")
    found = drawn(past, window, 1)
    assert sorted((end.id, end.detail) for end in found.last) == [
        ("e1", None),
        ("e2", None),
        ("e3", "InvalidMessageContents"),
    ]
    assert [end.at for end in found.last] == sorted((end.at for end in found.last), reverse=True)
    assert b"secret" not in msgspec.json.encode(found)
    assert {end.detail for end in drawn(past, window, 2, details=True).last} >= {"'secret' is no number"}


def test_a_source_shows_its_lag_and_its_trouble() -> None:
    past = Past()
    past.more["sources"] = [SourceGauges("incoming", "no broker answers", 12, 3, 300, 9, 4, 1)]
    found = drawn(past, begun(past), 1)
    http, incoming = found.sources
    assert (http.lag, http.trouble) == (None, None)
    assert (incoming.lag, incoming.trouble, incoming.waiting, incoming.unsettled) == (12, "no broker answers", 3, 9)


def test_the_journal_shows_what_waits_for_whom() -> None:
    past = Past()
    past.more["journal"] = JournalGauges(10, 100, 1000, 0, 2.5, {("lake", "kept"): 7, ("dead", "kept"): 0}, None)
    found = drawn(past, begun(past), 1).journal
    assert found is not None
    assert [(each.sink, each.route, each.events) for each in found.waiting] == [("lake", "kept", 7)]
    assert drawn(Past(), begun(Past()), 1).journal is None


def test_a_lane_stands_as_its_process_says() -> None:
    past = Past()
    window = begun(past)
    past.gauge("lake", standing=Standing(State.FULL, EPOCH, "timeout", ["99% of its memory is taken"]))
    window.add(past.moment(1))
    full, dead = draw(window, TOPOLOGY, ROUTES, details=False, workers=[]).lanes
    assert (full.state, full.since, full.reasons) == ("full", EPOCH, ["99% of its memory is taken"])
    assert dead.state == "healthy"


def test_the_window_holds_no_more_than_its_seconds() -> None:
    past, window = Past(), Window(10.0)
    for second in range(1000):
        window.add(past.moment(float(second)))
    assert [window.moments[0].at, len(window.moments)] == [989.0, 11]
    assert window.last(3.0).seconds == 3.0
    assert window.last(100.0).seconds == 10.0
