"""The meter as a scrape shows it: text that Prometheus reads, with closed sets of labels."""

from collections.abc import Iterable, Mapping

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from service import __version__
from service.delivery.breaker import State
from service.telemetry.histogram import REQUEST_SECONDS, Histogram
from service.telemetry.journal import JournalGauges
from service.telemetry.lane import LaneGauges
from service.telemetry.meter import Meter
from service.telemetry.prometheus import registry
from service.telemetry.snapshot import Snapshot

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def page(
    meter: Meter | None = None,
    lanes: Iterable[LaneGauges] = (),
    bills: Mapping[str, dict[str, int]] | None = None,
    stored: JournalGauges | None = None,
) -> str:
    """The text of a scrape."""
    found = Snapshot("serving", meter or Meter(), list(lanes), dict(bills or {}), [], stored)
    return generate_latest(registry(found)).decode()


def scrape(meter: Meter, stored: JournalGauges | None = None) -> Samples:
    """Values by name and labels, as Prometheus would read them."""
    text = page(meter, stored=stored)
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_counters_are_shown_with_their_labels() -> None:
    meter = Meter()
    meter.edge_received["http", "orders"] += 3
    meter.edge_rejected["http", "orders", "schema_violation"] += 1
    meter.lane_received["lake", "orders"] += 2
    meter.lane_settled["lake", "orders", "delivered", ""] += 1
    meter.lane_held["lake", "orders"] += 1
    shown = scrape(meter)
    assert shown["penstock_events_received_total", (("route", "orders"), ("source", "http"))] == 3
    rejected = (("reason", "schema_violation"), ("route", "orders"), ("source", "http"))
    assert shown["penstock_events_rejected_total", rejected] == 1
    assert shown["penstock_lane_events_received_total", (("route", "orders"), ("sink", "lake"))] == 2
    settled = (("outcome", "delivered"), ("reason", ""), ("route", "orders"), ("sink", "lake"))
    assert shown["penstock_lane_events_settled_total", settled] == 1
    assert shown["penstock_lane_events_held", (("route", "orders"), ("sink", "lake"))] == 1


def test_a_fresh_meter_shows_its_version_and_nothing_of_the_process() -> None:
    shown = scrape(Meter())
    assert {name for name, _ in shown} == {
        "penstock_build_info",
        "penstock_http_requests_open",
        "penstock_http_body_bytes",
        "penstock_cloudwatch_datums_published_total",
        "penstock_cloudwatch_datums_dropped_total",
        "penstock_spans_dropped_total",
        "penstock_loop_lag_seconds_bucket",
        "penstock_loop_lag_seconds_count",
        "penstock_loop_lag_seconds_sum",
    }
    (build,) = [dict(labels) for name, labels in shown if name == "penstock_build_info"]
    assert build["version"] == __version__


def test_lanes_have_their_gauges() -> None:
    text = page(lanes=[LaneGauges("lake", 200, 1000, 2, 8, 300, 500, 0.02, 1.5, "half_open")])
    assert 'penstock_lane_held_bytes{sink="lake"} 200.0' in text
    assert 'penstock_lane_capacity_bytes{sink="lake"} 1000.0' in text
    assert 'penstock_lane_calls_in_flight{sink="lake"} 2.0' in text
    assert 'penstock_lane_calls_limit{sink="lake"} 8.0' in text
    assert 'penstock_lane_base_seconds{sink="lake"} 0.02' in text
    assert 'penstock_lane_oldest_seconds{sink="lake"} 1.5' in text
    states = {state: f'penstock_lane_breaker_state{{sink="lake",state="{state}"}} ' for state in State}
    assert states[State.HALF_OPEN] + "1.0" in text
    assert states[State.CLOSED] + "0.0" in text
    assert states[State.OPEN] + "0.0" in text


def test_bills_of_sinks_are_counters_by_sink() -> None:
    text = page(bills={"lake": {"firehose_records": 3, "firehose_billed_bytes": 9}, "pond": {"firehose_records": 4}})
    shown = [line for line in text.splitlines() if "firehose" in line and not line.startswith("# HELP")]
    assert shown == [
        "# TYPE penstock_firehose_records_total counter",
        'penstock_firehose_records_total{sink="lake"} 3.0',
        'penstock_firehose_records_total{sink="pond"} 4.0',
        "# TYPE penstock_firehose_billed_bytes_total counter",
        'penstock_firehose_billed_bytes_total{sink="lake"} 9.0',
    ]


def test_durations_are_a_cumulative_histogram() -> None:
    meter = Meter()
    for seconds in (0.0005, 0.001, 0.3, 99.0):
        meter.observe_request("orders", 200, seconds)
    shown = scrape(meter)

    def bucket(bound: str) -> float:
        labels = (("le", bound), ("route", "orders"), ("status", "200"))
        return shown["penstock_http_request_duration_seconds_bucket", labels]

    assert [bucket(bound) for bound in ("0.001", "0.25", "0.5", "25.0", "+Inf")] == [2, 2, 3, 3, 4]
    labels = (("route", "orders"), ("status", "200"))
    assert shown["penstock_http_request_duration_seconds_count", labels] == 4
    assert shown["penstock_http_request_duration_seconds_sum", labels] == 0.0005 + 0.001 + 0.3 + 99.0


def test_a_value_on_a_bound_belongs_to_it() -> None:
    histogram = Histogram(REQUEST_SECONDS)
    histogram.observe(REQUEST_SECONDS[0])
    assert histogram.counts[0] == 1


def test_the_page_is_the_text_form() -> None:
    assert CONTENT_TYPE_LATEST.startswith("text/plain")


def test_a_journal_is_shown_with_what_waits_and_whether_it_is_in_trouble() -> None:
    meter = Meter()
    meter.journal_stored["orders"] += 9
    meter.journal_failed["orders"] += 2
    meter.journal_queued["orders"] += 1
    meter.journal_damaged, meter.journal_failures = 3, 4
    meter.journal_commit_seconds.observe(0.003)
    meter.journal_commit_events.observe(9)
    shown = scrape(meter, stored=JournalGauges(10, 20, 30, 40, 5.5, {("lake", "orders"): 6}, "the disk fails"))
    alone = {name: value for (name, labels), value in shown.items() if not labels and "journal" in name}
    for name, value in {
        "events_damaged_total": 3,
        "commit_failures_total": 4,
        "used_bytes": 10,
        "max_bytes": 20,
        "free_bytes": 30,
        "queued_bytes": 40,
        "oldest_seconds": 5.5,
        "trouble": 1,
        "commit_seconds_count": 1,
        "commit_seconds_sum": 0.003,
        "commit_events_sum": 9,
    }.items():
        assert alone[f"penstock_journal_{name}"] == value, name
    route = (("route", "orders"),)
    for name, value in {"stored_total": 9, "failed_total": 2, "queued": 1}.items():
        assert shown[f"penstock_journal_events_{name}", route] == value
    assert shown["penstock_journal_events_waiting", (*route, ("sink", "lake"))] == 6
    assert shown["penstock_journal_commit_seconds_bucket", (("le", "0.0025"),)] == 0
    assert shown["penstock_journal_commit_seconds_bucket", (("le", "0.005"),)] == 1
    assert scrape(meter, stored=JournalGauges(0, 0, 0, 0, 0, {}, None))["penstock_journal_trouble", ()] == 0


def test_between_workers_what_the_journal_has_counted_is_still_shown() -> None:
    meter = Meter()
    meter.journal_stored["orders"] += 9
    shown = {name for name, _ in scrape(meter)}
    assert "penstock_journal_events_stored_total" in shown
    assert "penstock_journal_used_bytes" not in shown
