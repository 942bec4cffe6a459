"""The dashboards: every metric, for every sink, route and source, within CloudWatch's limits."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from service.cloudwatch import dashboard
from service.cloudwatch.alarms import alarms
from service.cloudwatch.dashboard import MOST_ALARMS, MOST_LINES, WIDTH, dashboards
from service.cloudwatch.graphs import ROWS
from service.cloudwatch.names import METRICS, By, Kind
from service.cloudwatch.watched import Watched
from tests.unit.cloudwatch_world import MIXED, SMALL, large, lines, watching


def pages(watched: Watched) -> list[list[dict[str, Any]]]:
    """The widgets of each dashboard."""
    return [json.loads(body)["widgets"] for body in dashboards(watched, alarms(watched))]


def shown(watched: Watched) -> set[tuple[str, ...]]:
    return {line for page in pages(watched) for widget in page for line, _ in lines(widget)}


def test_every_metric_of_every_sink_route_and_source_is_shown(tmp_path: Path) -> None:
    watched = watching(tmp_path, MIXED, namespace="Own", service="shop")
    strays = {"EventsReceived": ["(none)"], "EventsRejected": ["(none)"]}
    published = {
        ("Own", metric.name, "Service", "shop", *((metric.by.value, subject) if subject else ()))
        for metric in METRICS
        for subject in (*watched.subjects(metric.by), *strays.get(metric.name, ()))
        if metric.name not in ("KinesisRecordsPut", "UserRecordsPerKinesisRecord") or subject == "stream"
    }
    assert shown(watched) == published


def test_rows_without_a_subject_are_left_out(tmp_path: Path) -> None:
    names = {line[1] for line in shown(watching(tmp_path, SMALL))}
    absent = {"ConsumerLag", "JournalFullness", "KinesisRecordsPut", "CertificateTimeLeft", "AuthRefreshFailures"}
    assert names & absent == set()


def test_a_row_answers_a_question_in_order(tmp_path: Path) -> None:
    (page,) = pages(watching(tmp_path, MIXED))
    headings = [widget["properties"]["markdown"] for widget in page if widget["type"] == "text"]
    assert headings == [f"## {row.question}\n{row.hint}" for row in ROWS]
    assert page[0]["type"] == "alarm"


def test_no_widget_lies_on_another(tmp_path: Path) -> None:
    for page in (*pages(watching(tmp_path, MIXED)), *pages(watching(tmp_path, large()))):
        taken: set[tuple[int, int]] = set()
        for widget in page:
            assert 0 <= widget["x"] < widget["x"] + widget["width"] <= WIDTH
            cells = {
                (x, y)
                for x in range(widget["x"], widget["x"] + widget["width"])
                for y in range(widget["y"], widget["y"] + widget["height"])
            }
            assert not cells & taken
            taken |= cells


def test_a_line_is_called_by_its_subject_and_what_tells_it_from_the_others(tmp_path: Path) -> None:
    (page,) = pages(watching(tmp_path, MIXED))
    labels = {widget["properties"].get("title"): [o.get("label") for _, o in lines(widget)] for widget in page}
    assert labels["Dead letters"] == ["stream", "lake", "spare", "letters"]
    assert labels["Answer, ms"] == ["orders p50", "orders p99", "order_lines p50", "order_lines p99"]
    assert labels["User records taken and put"][:1] == ["stream UserRecordsReceived"]
    assert labels["Not accounted for: a defect"] == ["service"]


def test_percentiles_are_taken_where_there_are_spreads_and_nowhere_else(tmp_path: Path) -> None:
    (page,) = pages(watching(tmp_path, MIXED))
    taken: dict[str, set[str]] = {}
    for widget in page:
        for line, options in lines(widget):
            taken.setdefault(line[1], set()).add(options.get("stat", widget["properties"]["stat"]))
    usual = {Kind.COUNT: {"Sum"}, Kind.LEVEL: {"Maximum"}, Kind.SPREAD: {"p50", "p99"}}
    other = {
        "UserRecordsPerKinesisRecord": {"Average"},
        "UserRecordsPerCall": {"Average"},
        "BufferingTime": {"p99"},
        "CertificateTimeLeft": {"Minimum"},
    }
    assert taken == {metric.name: usual[metric.kind] for metric in METRICS} | other


def test_a_share_is_computed_from_hidden_lines(tmp_path: Path) -> None:
    (page,) = pages(watching(tmp_path, SMALL))
    (widget,) = (each for each in page if each["properties"].get("title") == "Throttled, %")
    computed, *hidden = widget["properties"]["metrics"]
    assert computed[0]["expression"] == "IF(FILL(b0,0)+FILL(c0,0)>0,100*FILL(a0,0)/(FILL(b0,0)+FILL(c0,0)),0)"
    assert [(line[1], line[-1]["id"], line[-1]["visible"]) for line in hidden] == [
        ("ThrottledRecords", "a0", False),
        ("UserRecordsPut", "b0", False),
        ("AllErrors", "c0", False),
    ]


def test_the_largest_services_stay_within_the_limits(tmp_path: Path) -> None:
    watched = watching(tmp_path, large(sinks=60, routes=400))
    found = pages(watched)
    assert len(found) > 1
    for page in found:
        metrics = [len(widget["properties"].get("metrics", ())) for widget in page]
        assert max(metrics) <= 500
        assert sum(metrics) <= 2500
        assert len(page) <= 500
        assert all(len(each["properties"]["alarms"]) <= MOST_ALARMS for each in page if each["type"] == "alarm")
        assert len([each for each in page if each["type"] == "text"]) >= 1
    wanted = {line[-1] for line in shown(watched) if "Route" in line}
    assert wanted == {*watched.subjects(By.ROUTE), "(none)"}


def test_a_graph_has_no_more_subjects_than_can_be_told_apart(tmp_path: Path) -> None:
    for page in pages(watching(tmp_path, large())):
        for widget in page:
            assert len({line[-1] for line, _ in lines(widget)}) <= MOST_LINES


def test_what_goes_on_in_another_dashboard_has_its_heading_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dashboard, "MOST_WIDGETS", 20)
    found = pages(watching(tmp_path, large()))
    assert len(found) > 3
    for page in found:
        assert len(page) <= 20
        assert page[0]["type"] in ("text", "alarm")
        assert page[0]["y"] == 0


def test_a_name_that_looks_like_a_reference_is_none(tmp_path: Path) -> None:
    watched = watching(tmp_path, SMALL, service="${AWS::AccountId}")
    (body,) = dashboards(watched, [])
    assert set(re.findall(r"\$\{(?!!)[^}]*\}", body)) == {"${AWS::Region}"}
    assert "${!AWS::AccountId}" in body
