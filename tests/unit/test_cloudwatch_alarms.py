"""The alarms: of metrics that exist, for every sink, route and source, in words that help whoever is woken."""

import re
from pathlib import Path
from typing import Any

import pytest

from service.cloudwatch.alarms import MOST_CHARACTERS, Alarm, alarms, properties
from service.cloudwatch.intrinsics import If, Ref
from service.cloudwatch.names import BY_NAME, By, Kind
from service.cloudwatch.parameters import THRESHOLDS
from service.cloudwatch.watched import Watched
from service.cloudwatch.watches import WATCHES, Missing, Watch
from tests.unit.cloudwatch_world import ISSUER, MIXED, SMALL, TLS, large, watching

TOLD = (Ref("Topic"),)


def names(found: list[Alarm]) -> set[str]:
    return {alarm.name for alarm in found}


def made(watched: Watched, name: str) -> dict[str, Any]:
    (alarm,) = (alarm for alarm in alarms(watched, expected=watched.routes) if alarm.name == name)
    return properties(alarm, watched, TOLD)


@pytest.mark.parametrize("watch", WATCHES, ids=lambda watch: watch.name)
def test_every_metric_of_an_alarm_exists_and_is_taken_as_what_it_is(watch: Watch) -> None:
    metric = BY_NAME[watch.metric]
    taken = {Kind.COUNT: {"Sum"}, Kind.LEVEL: {"Maximum", "Minimum", "SampleCount"}}[metric.kind]
    assert watch.statistic in taken
    for other in watch.share or ():
        assert (BY_NAME[other].by, BY_NAME[other].kind, BY_NAME[other].unit) == (metric.by, metric.kind, metric.unit)


@pytest.mark.parametrize("watch", WATCHES, ids=lambda watch: watch.name)
def test_a_count_that_is_missing_was_0_and_a_level_is_as_it_was_unless_silence_is_the_alarm(watch: Watch) -> None:
    usual = Missing.WELL if BY_NAME[watch.metric].kind is Kind.COUNT else Missing.STAYS
    silence = watch.below and watch.statistic != "Minimum"
    assert watch.missing == (Missing.AMISS if silence else usual)


def test_every_sink_route_and_source_has_its_alarms(tmp_path: Path) -> None:
    watched = watching(tmp_path, MIXED)
    assert names(alarms(watched)) == {
        *(f"oldest-event-{sink}" for sink in ("stream", "lake", "spare", "letters")),
        *(f"throttled-{sink}" for sink in ("stream", "lake", "spare", "letters")),
        *(f"dead-letters-{sink}" for sink in ("stream", "lake", "spare")),
        *(f"given-back-{sink}" for sink in ("stream", "lake", "spare")),
        *(f"dropped-{sink}" for sink in ("lake", "letters")),
        *(f"refused-{route}" for route in ("orders", "order_lines")),
        *(f"consumer-lag-{source}" for source in ("msk", "uploads")),
        *("unaccounted", "silent", "journal-full", "journal-old", "certificate", "keys-not-read"),
    }


def test_the_least_service_has_no_alarm_of_what_it_lacks(tmp_path: Path) -> None:
    watched = watching(tmp_path, SMALL)
    assert names(alarms(watched)) == {
        *("unaccounted", "silent", "refused-orders"),
        *("oldest-event-data", "throttled-data", "dead-letters-data", "given-back-data"),
    }


@pytest.mark.parametrize(
    ("settings", "more"),
    [
        ({"server": {"tls": TLS}}, {"certificate"}),
        ({"admin": {"tls": TLS}}, {"certificate"}),
        ({"server": {"auth": {"jwt": ISSUER}}}, {"keys-not-read"}),
        ({"server": {"auth": {"keys_file": "keys.yaml", "pepper_variable": "P"}}}, {"keys-not-read"}),
        ({"server": {"auth": {"keys_secret": "keys", "pepper_variable": "P"}}}, {"keys-not-read"}),
        ({"server": {"auth": {"keys_variable": "K", "pepper_file": "pepper"}}}, {"keys-not-read"}),
        ({"server": {"auth": {"keys_variable": "K", "pepper_variable": "P"}}}, set()),
        ({"server": {"auth": "none"}}, set()),
    ],
    ids=["tls", "tls of admin", "jwt", "file", "secret", "pepper's file", "variables", "anybody"],
)
def test_only_where_there_are_certificates_or_keys_to_read_again_are_they_watched(
    tmp_path: Path, settings: dict[str, Any], more: set[str]
) -> None:
    least = names(alarms(watching(tmp_path, SMALL)))
    assert names(alarms(watching(tmp_path, SMALL | settings))) - least == more


def test_a_certificate_is_told_of_14_days_before_it_ends_as_by_the_rule_for_prometheus(tmp_path: Path) -> None:
    found = made(watching(tmp_path, MIXED), "certificate")
    assert found["Threshold"] == Ref("CertificateTimeLeft")
    assert (found["Statistic"], found["ComparisonOperator"]) == ("Minimum", "LessThanThreshold")
    rule = "penstock_tls_certificate_expiry_timestamp_seconds - time() < 14 * 86400"
    assert rule in (Path(__file__).parents[2] / "docs" / "metrics.md").read_text("utf-8")
    assert THRESHOLDS["CertificateTimeLeft"].default == 14 * 86400


def test_one_failure_to_read_keys_rings_for_a_quarter_of_an_hour(tmp_path: Path) -> None:
    found = made(watching(tmp_path, MIXED), "keys-not-read")
    assert (found["Period"], found["EvaluationPeriods"], found["DatapointsToAlarm"]) == (60, 15, 1)
    assert (found["Statistic"], found["Threshold"]) == ("Sum", 0)


def test_kinds_that_are_not_wanted_are_left_out(tmp_path: Path) -> None:
    watched = watching(tmp_path, MIXED)
    every = names(alarms(watched))
    left = names(alarms(watched, without=["refused", "silent"]))
    assert every - left == {"refused-orders", "refused-order_lines", "silent"}


def test_only_routes_that_are_named_may_not_be_silent(tmp_path: Path) -> None:
    watched = watching(tmp_path, MIXED)
    more = names(alarms(watched, expected=["orders"])) - names(alarms(watched))
    assert more == {"nothing-received-orders"}


def test_an_old_event_is_two_thirds_of_the_time_after_which_it_is_given_back(tmp_path: Path) -> None:
    watched = watching(tmp_path, MIXED)
    assert watched.sinks["lake"].slow_seconds == 8.0
    assert made(watched, "oldest-event-lake")["Threshold"] == If("OldestEventAgeGiven", Ref("OldestEventAge"), 8)
    assert made(watched, "oldest-event-stream")["Threshold"] == If("OldestEventAgeGiven", Ref("OldestEventAge"), 12)


def test_a_part_of_a_second_stays(tmp_path: Path) -> None:
    hasty = {"type": "firehose", "delivery_stream": "orders", "patience": "2s", "call_timeout": "1s"}
    watched = watching(tmp_path, {**MIXED, "sinks": {**MIXED["sinks"], "lake": hasty}})
    assert watched.sinks["lake"].slow_seconds == 0.7


def test_an_alarm_looks_at_the_metric_as_it_is_published(tmp_path: Path) -> None:
    watched = watching(tmp_path, MIXED, namespace="Own", service="shop")
    found = made(watched, "dead-letters-stream")
    assert (found["Namespace"], found["MetricName"]) == ("Own", "EventsDeadLettered")
    assert found["Dimensions"] == [{"Name": "Service", "Value": "shop"}, {"Name": "Sink", "Value": "stream"}]
    assert made(watched, "silent")["Dimensions"] == [{"Name": "Service", "Value": "shop"}]


def test_dimensions_of_the_configuration_stand_in_each_metric(tmp_path: Path) -> None:
    watched = watching(tmp_path, MIXED, dimensions={"Stage": "live"})
    for alarm in alarms(watched):
        found = properties(alarm, watched, TOLD)
        metrics = [each["MetricStat"]["Metric"] for each in found.get("Metrics", []) if "MetricStat" in each]
        for metric in metrics or [found]:
            assert {"Name": "Stage", "Value": "live"} in metric["Dimensions"]


def test_the_throttled_share_is_computed_from_three_metrics_of_one_sink(tmp_path: Path) -> None:
    watched = watching(tmp_path, MIXED)
    share, *parts = made(watched, "throttled-stream")["Metrics"]
    metrics = {part["Id"]: part["MetricStat"]["Metric"] for part in parts}
    assert {id_: metric["MetricName"] for id_, metric in metrics.items()} == {
        "m0": "ThrottledRecords",
        "m1": "UserRecordsPut",
        "m2": "AllErrors",
    }
    assert {metric["Dimensions"][-1]["Value"] for metric in metrics.values()} == {"stream"}
    assert share["Expression"] == "IF(FILL(m1,0)+FILL(m2,0)>0,100*FILL(m0,0)/(FILL(m1,0)+FILL(m2,0)),0)"
    assert [part["ReturnData"] for part in parts] == [False] * 3
    assert "ReturnData" not in share


def test_metrics_that_come_seldom_are_looked_at_as_seldom(tmp_path: Path) -> None:
    watched = watching(tmp_path, MIXED)
    assert (made(watched, "silent")["Period"], made(watched, "nothing-received-orders")["Period"]) == (60, 300)
    seldom = watching(tmp_path, MIXED, interval="90s")
    assert (made(seldom, "silent")["Period"], made(seldom, "nothing-received-orders")["Period"]) == (120, 300)
    assert made(seldom, "throttled-stream")["Metrics"][1]["MetricStat"]["Period"] == 120


def test_no_alarm_looks_back_further_than_a_day(tmp_path: Path) -> None:
    hourly = watching(tmp_path, MIXED, interval="1h")
    for alarm in alarms(hourly, expected=hourly.routes):
        found = properties(alarm, hourly, TOLD)
        period = found.get("Period") or found["Metrics"][1]["MetricStat"]["Period"]
        assert period * found["EvaluationPeriods"] <= 86_400


def test_each_is_told_of_when_it_begins_and_when_it_ends(tmp_path: Path) -> None:
    watched = watching(tmp_path, MIXED)
    for alarm in alarms(watched):
        found = properties(alarm, watched, TOLD)
        assert found["AlarmActions"] == found["OKActions"] == TOLD


def test_each_says_what_it_means_what_to_do_first_and_where_to_read(tmp_path: Path) -> None:
    watched = watching(tmp_path, MIXED)
    for alarm in alarms(watched, expected=watched.routes):
        text = alarm.description
        assert len(text) <= MOST_CHARACTERS
        assert re.fullmatch(rf"\S.*[.:] First: .*[.?] More: docs/runbook\.md#{alarm.watch.name}", text)
        assert alarm.subject in text
        assert "{" not in text


def test_a_description_fits_with_the_longest_names() -> None:
    assert max(len(Alarm(watch, "x" * 100).description) for watch in WATCHES) <= MOST_CHARACTERS


def test_names_in_the_template_are_letters_and_digits_and_each_is_another(tmp_path: Path) -> None:
    every = alarms(watching(tmp_path, large()))
    ids = [alarm.logical_id for alarm in every]
    assert len(set(ids)) == len(every) == 205
    assert all(re.fullmatch(r"[A-Za-z0-9]{1,255}", each) for each in ids)
    hostile = ["a_b", "ab", "a__b", "a_1", "a1", "axb"]
    assert len({Alarm(WATCHES[0], name).logical_id for name in hostile}) == len(hostile)


def test_who_is_watched_by_what(tmp_path: Path) -> None:
    watched = watching(tmp_path, MIXED)
    assert watched.subjects(By.SINK) == ("stream", "lake", "spare", "letters")
    assert watched.subjects(By.SOURCE) == ("msk", "uploads")
    assert watched.subjects(By.SERVICE) == ("",)
    assert [name for name, sink in watched.sinks.items() if sink.records] == ["stream"]
