"""Requests of PutMetricData: within its limits, as the SDK would write them, and what becomes of each answer."""

import asyncio
import gzip
import json
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import botocore.session
import pytest
from botocore.serialize import create_serializer
from botocore.validate import ParamValidator
from hypothesis import given, settings
from hypothesis import strategies as st

from service.aws import session
from service.cloudwatch import api
from service.cloudwatch.api import DATUM_VALUES, REQUEST_BYTES, REQUEST_DATUMS, Api
from service.cloudwatch.datum import Datum, difference
from service.cloudwatch.names import BY_NAME, METRICS, Kind
from service.cloudwatch.totals import read
from service.cloudwatch.way import Packed, Unsent
from service.config.cloudwatch import CloudWatchConfig
from tests.contract.fake_aws import ENVIRONMENT
from tests.unit.counted import MOMENT, everywhere
from tests.unit.wire import Script, answer, ok, wire

MODEL = botocore.session.get_session().get_service_model("cloudwatch")
PUT = MODEL.operation_model("PutMetricData")
REFUSED = '{{"__type": "com.amazonaws.cloudwatch#{}", "message": "no"}}'

SPREADS = [metric for metric in METRICS if metric.kind is Kind.SPREAD]
SINGLES = [metric for metric in METRICS if metric.kind is not Kind.SPREAD]


class _Events:
    def register(self, *_: object) -> None:
        return None


class _Meta:
    service_model = MODEL
    events = _Events()


class _Client:
    """As much of a client as a packer asks for."""

    meta = _Meta()
    put_metric_data = None


def packer(**settings: Any) -> Api:
    return Api(CloudWatchConfig(mode="api", **settings), _Client())


def body_of(packed: Packed) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(gzip.decompress(packed.body))
    return found


def spread(index: int, values: int, metric: int = 0) -> Datum:
    found = tuple(float(value) / 8 for value in range(values))
    return Datum(SPREADS[metric], f"sink_{index}", found, tuple(range(1, values + 1)))


def told(data: Sequence[dict[str, Any]]) -> Counter[tuple[str, str, float]]:
    """How often each value of each series is there."""
    found = Counter[tuple[str, str, float]]()
    for datum in data:
        of = datum["Dimensions"][-1]["Value"]
        values, counts = datum.get("Values", [datum.get("Value")]), datum.get("Counts", [1])
        for value, count in zip(values, counts, strict=True):
            found[datum["MetricName"], of, value] += count
    return found


sizes = st.lists(st.integers(1, 400), min_size=1, max_size=30)


@settings(deadline=None)
@given(sizes, st.integers(0, 1200), st.booleans())
def test_every_request_is_within_the_limits_and_nothing_is_lost(values: list[int], singles: int, long: bool) -> None:
    data = [spread(index, count, index % len(SPREADS)) for index, count in enumerate(values)]
    data += [Datum(SINGLES[index % len(SINGLES)], f"sink_{index}", (float(index),), (1,)) for index in range(singles)]
    more = {f"Dimension{index}": "x" * 1000 for index in range(8)} if long else {}
    requests = packer(dimensions=more).packed(data, MOMENT)
    written = [body_of(each)["MetricData"] for each in requests]
    for request, metric_data in zip(requests, written, strict=True):
        assert len(gzip.decompress(request.body)) <= REQUEST_BYTES
        assert 1 <= len(metric_data) == request.datums <= REQUEST_DATUMS
        assert all(len(set(each["Values"])) <= DATUM_VALUES for each in metric_data if "Values" in each)
    expected = Counter[tuple[str, str, float]]()
    for datum in data:
        for value, count in zip(datum.values, datum.counts, strict=True):
            expected[datum.metric.name, datum.of, value] += count
    assert told([each for metric_data in written for each in metric_data]) == expected


def test_a_request_is_full_before_the_next_one_begins() -> None:
    data = [Datum(SINGLES[0], f"r{index}", (1.0,), (1,)) for index in range(2500)]
    assert [each.datums for each in packer().packed(data, MOMENT)] == [1000, 1000, 500]


def test_nothing_is_sent_of_nothing() -> None:
    assert packer().packed([], MOMENT) == []


def test_a_request_is_what_the_sdk_would_write() -> None:
    [request] = packer(dimensions={"Environment": "test"}, high_resolution=True).packed(
        difference(read(everywhere(), MOMENT)), MOMENT
    )
    body = body_of(request)
    assert not ParamValidator().validate(body, PUT.input_shape).has_errors()
    assert json.loads(create_serializer("json").serialize_to_request(body, PUT)["body"]) == body


def test_a_datum_has_its_unit_its_dimensions_its_moment_and_its_resolution() -> None:
    for resolution, high in ((60, False), (1, True)):
        made = packer(service="shop", dimensions={"Environment": "test"}, high_resolution=high, namespace="Acme/Events")
        [request] = made.packed([Datum(BY_NAME["UserRecordsDataPut"], "lake", (5.0,), (1,))], MOMENT)
        dimensions = [("Service", "shop"), ("Environment", "test"), ("Sink", "lake")]
        assert body_of(request) == {
            "Namespace": "Acme/Events",
            "MetricData": [
                {
                    "MetricName": "UserRecordsDataPut",
                    "Dimensions": [{"Name": name, "Value": value} for name, value in dimensions],
                    "Timestamp": 1_764_000_000,
                    "Unit": "Bytes",
                    "StorageResolution": resolution,
                    "Value": 5.0,
                }
            ],
        }


@asynccontextmanager
async def opened(script: Script, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[Api, Any]]:
    """The way to a server that answers with `script`, in a process that has no session yet."""
    with monkeypatch.context() as environment:
        for name, value in ENVIRONMENT.items():
            environment.setenv(name, value)
        session._session.cache_clear()
        async with wire(script) as server:
            where = CloudWatchConfig(mode="api", region="eu-west-1", endpoint_url=server.url)
            async with api.opened(where) as way:
                yield way, server
        session._session.cache_clear()


def request() -> Packed:
    [packed] = packer().packed([Datum(SINGLES[0], "orders", (1.0,), (1,))], MOMENT)
    return packed


async def test_what_is_sent_is_the_compressed_request_signed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    packed = request()
    async with opened(ok(), monkeypatch) as (way, server):
        await way.send(packed)
    [head] = server.heads
    assert server.bodies == [packed.body]
    named = dict(line.lower().split(b": ", 1) for line in head.strip().split(b"\r\n")[1:])
    assert named[b"content-encoding"] == b"gzip"
    assert named[b"x-amz-target"] == b"graniteserviceversion20100801.putmetricdata"
    assert b"/eu-west-1/monitoring/aws4_request" in named[b"authorization"]


@pytest.mark.parametrize(
    ("script", "reason", "hopeless"),
    [
        (answer("400 Bad Request", REFUSED.format("ThrottlingException").encode()), "throttled", False),
        (answer("400 Bad Request", REFUSED.format("InvalidParameterValueException").encode()), "misconfigured", True),
        (answer("403 Forbidden", REFUSED.format("AccessDeniedException").encode()), "access_denied", False),
        (answer("413 Content Too Large", b"<html>"), "misconfigured", True),
        (answer("500 Internal Server Error", REFUSED.format("InternalServiceFault").encode()), "internal", False),
        (answer("503 Service Unavailable", b""), "unavailable", False),
        (answer("200 OK", b"{}", then="reset"), "", False),
    ],
)
async def test_each_refusal_has_its_reason(
    script: Script, reason: str, hopeless: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(script, monkeypatch) as (way, server):
        if not reason:
            await way.send(request())
            return
        with pytest.raises(Unsent) as refused:
            await way.send(request())
        assert (refused.value.reason, refused.value.hopeless) == (reason, hopeless)
        assert len(server.heads) == 1, "the SDK repeats nothing"


async def test_an_endpoint_that_is_not_there_is_unreachable(monkeypatch: pytest.MonkeyPatch) -> None:
    async with opened(ok(), monkeypatch):
        gone = CloudWatchConfig(mode="api", region="eu-west-1", endpoint_url="http://127.0.0.1:1")
        async with api.opened(gone) as way:
            with pytest.raises(Unsent) as refused:
                await way.send(request())
    assert refused.value.reason == "unreachable"
    assert not refused.value.hopeless


async def test_a_call_without_an_answer_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api, "CALL_SECONDS", 0.2)
    async with opened(Script(b""), monkeypatch) as (way, _):
        async with asyncio.timeout(30):
            with pytest.raises(Unsent) as refused:
                await way.send(request())
    assert refused.value.reason == "timeout"
