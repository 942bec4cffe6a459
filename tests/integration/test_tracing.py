"""Spans of the service as a child process, at a collector that decodes them."""

import http.client
import json
import signal
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from tests.integration.collector import Collector, attributes, links, named, parent, place
from tests.integration.command import Serving, penstock

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
UNSAMPLED = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00"
EVENT = {"number": 1}


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector() as running:
        yield running


def serving(folder: Path, endpoint: str, more: Mapping[str, str] | None = None, **tracing: Any) -> Serving:
    """The service, with one file as its sink."""
    tree = {
        "sinks": {"out": {"type": "file", "path": str(folder / "out"), "format": "cloudevents"}},
        "routes": {
            "orders": {"to": ["out"]},
            "strict": {"to": ["out"], "schema": {"type": "jsonschema", "file": "s.json"}},
        },
        "tracing": {"exporter": "otlp", "endpoint": endpoint, **tracing},
    }
    (folder / "s.json").write_text('{"type": "object", "required": ["id"]}')
    (folder / "penstock.yaml").write_text(yaml.safe_dump(tree))
    return Serving("serve", folder=folder, more=more)


def post(running: Serving, *headers: Mapping[str, str], path: str = "/v1/orders", body: object = EVENT) -> list[int]:
    """The statuses of one request with each of these headers, on one connection."""
    connection = http.client.HTTPConnection(urlsplit(running.url).netloc, timeout=30)
    statuses = []
    for each in headers:
        connection.request("POST", path, json.dumps(body), {"Content-Type": "application/json", **each})
        answer = connection.getresponse()
        answer.read()
        statuses.append(answer.status)
    connection.close()
    return statuses


def written(folder: Path) -> list[dict[str, Any]]:
    files = sorted((folder / "out").iterdir()) if (folder / "out").is_dir() else [folder / "out"]
    return [json.loads(line) for file in files for line in file.read_bytes().splitlines()]


def of_kind(spans: list[Span], kind: "Span.SpanKind.ValueType") -> list[Span]:
    return [span for span in spans if span.kind == kind]


@pytest.mark.parametrize("short_way", ["true", "false"])
def test_a_request_is_a_span_and_the_write_of_its_events_is_linked_to_it(
    tmp_path: Path, collector: Collector, short_way: str
) -> None:
    more = {"PENSTOCK__SERVER__SHORT_WAY": short_way}
    headers = {"x-team": "secret-team"}
    with serving(tmp_path, collector.url, more, sample=0, service_name="ingest", headers=headers) as running:
        given = {"traceparent": PARENT, "tracestate": "a=1", "X-Request-Id": "r-1"}
        assert post(running, given, {**given, "X-Request-Id": "r-2"}) == [200, 200]
        running.signal(signal.SIGTERM)
        running.end_well()
    spans = collector.until(lambda spans: len(spans) >= 4)
    requests, writes = of_kind(spans, Span.SPAN_KIND_SERVER), of_kind(spans, Span.SPAN_KIND_CLIENT)
    assert (len(requests), len(writes)) == (2, 2)
    for request, write, event in zip(requests, writes, written(tmp_path), strict=True):
        assert request.name == "POST /v1/orders"
        assert (parent(request), request.trace_state) == (named(PARENT), "a=1")
        assert write.name == "send out"
        assert links(write) == [place(request)] == [parent(write)]
        assert named(event["traceparent"]) == place(request)
        assert event["tracestate"] == "a=1"
        assert request.start_time_unix_nano <= write.start_time_unix_nano <= write.end_time_unix_nano
        assert write.end_time_unix_nano <= request.end_time_unix_nano
    said = attributes(requests[0])
    assert said["penstock.request_id"] == "r-1"
    assert (said["http.request.method"], said["http.response.status_code"]) == ("POST", "200")
    assert (said["http.route"], said["url.path"], said["url.scheme"]) == ("/v1/orders", "/v1/orders", "http")
    told = attributes(writes[0])
    assert (told["messaging.system"], told["messaging.operation.type"]) == ("file", "send")
    assert (told["messaging.batch.message_count"], told["penstock.sink"]) == ("1", "out")
    assert writes[0].status.code == Status.STATUS_CODE_UNSET
    assert collector.paths == {"/v1/traces"}
    assert all(sent["x-team"] == "secret-team" for sent in collector.headers)
    assert all(resource["service.name"] == "ingest" for resource in collector.resources)
    assert "secret-team" not in "".join(running.said)


@pytest.mark.parametrize("short_way", ["true", "false"])
def test_a_part_of_what_comes_without_a_trace_is_recorded_and_who_has_one_says_it_himself(
    tmp_path: Path, collector: Collector, short_way: str
) -> None:
    more = {"PENSTOCK__SERVER__SHORT_WAY": short_way}
    for sample, recorded in ((0, 0), (1, 3)):
        collector.spans.clear()
        (tmp_path / str(sample)).mkdir()
        with serving(tmp_path / str(sample), collector.url, more, sample=sample) as running:
            assert post(running, {}, {"traceparent": "rubbish"}, {"traceparent": UNSAMPLED}, {}) == [200] * 4
            running.signal(signal.SIGTERM)
            running.end_well()
        spans = collector.until(lambda spans, recorded=recorded: len(spans) >= 2 * recorded)  # type: ignore[misc]
        requests = of_kind(spans, Span.SPAN_KIND_SERVER)
        assert len(requests) == recorded
        assert not any(request.parent_span_id for request in requests)
        said = [named(event.get("traceparent", "")) for event in written(tmp_path / str(sample))]
        ours = [place(request) for request in requests] or [""] * 3
        assert said == [*ours[:2], named(UNSAMPLED), ours[2]]


def test_what_is_refused_has_its_status_and_other_paths_no_name_of_their_own(
    tmp_path: Path, collector: Collector
) -> None:
    with serving(tmp_path, collector.url, sample=1) as running:
        assert post(running, {}, path="/v1/strict") == [422]
        assert post(running, {}, path="/v1/nothing") == [404]
        assert post(running, {"Content-Type": "text/plain"}) == [415]
        spans = collector.until(lambda spans: len(spans) >= 3)
    assert [(span.name, attributes(span)["http.response.status_code"]) for span in spans] == [
        ("POST /v1/strict", "422"),
        ("POST", "404"),
        ("POST /v1/orders", "415"),
    ]
    assert not any(span.status.code == Status.STATUS_CODE_ERROR for span in spans)


def test_a_collector_that_is_away_is_one_warning_and_a_counter(tmp_path: Path, collector: Collector) -> None:
    collector.status = 400
    with serving(tmp_path, collector.url, sample=1) as running:
        for times in range(1, 4):
            assert post(running, {}) == [200]
            collector.asked(times)
        while "penstock_spans_dropped_total 6.0" not in (metrics := running.get("/metrics")):
            assert "penstock_spans_dropped_total" in metrics
        collector.status = 200
        assert post(running, {}) == [200]
        collector.until(lambda spans: len(spans) == 2)
        running.signal(signal.SIGTERM)
        running.end_well()
    warnings = [json.loads(line) for line in running.said if '"warning"' in line]
    assert [each["message"] for each in warnings] == ["spans cannot be sent, and are dropped; events are not affected"]
    assert warnings[0]["endpoint"] == f"{collector.url}/v1/traces"
    assert "400" in warnings[0]["detail"]
    assert any("spans are sent again" in line for line in running.said)


def test_a_collector_that_never_answers_holds_up_neither_events_nor_the_end(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        endpoint = f"http://127.0.0.1:{deaf.getsockname()[1]}"
        with serving(tmp_path, endpoint, sample=1) as running:
            assert post(running, *[{}] * 20) == [200] * 20
            running.signal(signal.SIGTERM)
            running.end_well()
    assert len(written(tmp_path)) == 20
    assert any("the last spans were not sent in time" in line for line in running.said)


def test_each_worker_sends_its_own(tmp_path: Path, collector: Collector) -> None:
    with serving(tmp_path, collector.url, {"PENSTOCK__SERVER__WORKERS": "2"}, sample=1) as running:
        for _ in range(40):
            assert post(running, {}) == [200]
        running.signal(signal.SIGTERM)
        running.end_well()
    spans = collector.until(lambda spans: len(spans) >= 80)
    assert len(of_kind(spans, Span.SPAN_KIND_SERVER)) == 40
    assert len({resource["service.instance.id"] for resource in collector.resources}) == 2


def test_a_setting_that_is_missing_is_told_before_the_start(tmp_path: Path) -> None:
    (tmp_path / "penstock.yaml").write_text("tracing: {exporter: otlp}\n")
    done = penstock("check", folder=tmp_path)
    assert done.returncode != 0
    assert "tracing: exporter: otlp needs an endpoint" in done.stderr + done.stdout
