"""What a request says of a distributed trace, on both ways: it goes on with its events, or is ignored."""

import json

import pytest

from service.codecs.tracecontext import of_event
from service.event import Event, Trace
from service.http.direct import DirectProtocol
from service.http.head import Head
from tests.http.client import request
from tests.http.running import Service

CONFIGURATION = """
server: {memory: 40MiB, drain_timeout: 1s}
sinks:
  main: {type: "tests.http.scripted:Scripted", patience: 6s, call_timeout: 3s}
routes:
  orders: {to: [main], types: ["*"]}
  by_trace: {to: [main], key: "header:traceparent"}
"""

pytestmark = pytest.mark.asyncio(loop_scope="module")

GOOD = b'{"number":1}'
PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
OTHER = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00"
EVENT = {"specversion": "1.0", "id": "1", "source": "/s", "type": "t", "data": 1}


def taken(service: Service) -> list[Event]:
    events = list(service.sinks["main"].taken)
    service.sinks["main"].taken.clear()
    return events


async def test_each_request_says_it_of_its_own_events(service: Service) -> None:
    async with await service.connect() as connection:
        for parent in (PARENT, OTHER, PARENT):
            headers = {"traceparent": parent, "tracestate": "a=1"}
            await connection.send(request("/v1/orders", GOOD, headers))
            assert (await connection.answer()).status == 200
            (event,) = taken(service)
            assert of_event(event) == Trace(parent, "a=1")
            assert "traceparent" not in event.attributes
        await connection.send(request("/v1/orders", b"[%b,%b]" % (GOOD, GOOD), {"Traceparent": PARENT}))
        assert (await connection.answer()).status == 200
        assert [of_event(event) for event in taken(service)] == [Trace(PARENT)] * 2
        await connection.send(request("/v1/orders", GOOD))
        assert (await connection.answer()).status == 200
        assert [of_event(event) for event in taken(service)] == [None]


async def test_a_head_that_differs_in_its_traceparent_is_not_parsed_again(
    service: Service, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    known: list[Trace | None] = []
    take = DirectProtocol._take

    def counted(self: DirectProtocol, head: Head, body: bytes) -> bool:
        known.append(head.trace)
        return take(self, head, body)

    monkeypatch.setattr(DirectProtocol, "_take", counted)
    async with await service.connect() as connection:
        for parent, state in ((PARENT, "a=1"), (OTHER, "b=2"), (PARENT, "c=3")):
            await connection.send(request("/v1/orders", GOOD, {"traceparent": parent, "tracestate": state}))
            assert (await connection.answer()).status == 200
    assert known == ([Trace(OTHER, "b=2"), Trace(PARENT, "c=3")] if way == "short" else [])


async def test_a_key_that_is_a_traceparent_is_that_of_its_own_request(service: Service) -> None:
    async with await service.connect() as connection:
        for parent in (PARENT, OTHER):
            await connection.send(request("/v1/by_trace", GOOD, {"traceparent": parent}))
            assert (await connection.answer()).status == 200
    assert [event.key for event in taken(service)] == [PARENT, OTHER]


@pytest.mark.parametrize(
    "parent", ["", "x", PARENT.upper(), f"{PARENT}-1", f"{PARENT}, {PARENT}", "0" * 20_000, "\xff"]
)
async def test_what_is_not_sound_is_ignored_and_no_error(service: Service, parent: str) -> None:
    for _ in range(2):
        answer = await service.post("/v1/orders", GOOD, {"traceparent": parent, "tracestate": "a=1"})
        assert answer.status == 200
        assert [of_event(event) for event in taken(service)] == [None]


async def test_one_that_stands_there_twice_is_none(service: Service) -> None:
    data = request("/v1/orders", GOOD, {"traceparent": PARENT}).replace(
        b"Content-Length", f"traceparent: {OTHER}\r\nContent-Length".encode()
    )
    assert (await service.raw(data)).status == 200
    assert [of_event(event) for event in taken(service)] == [None]


async def test_an_events_own_extension_goes_before_the_header(service: Service) -> None:
    batch = [EVENT, EVENT | {"id": "2", "traceparent": PARENT}]
    answer = await service.post(
        "/v1/events", json.dumps(batch).encode(), {"traceparent": OTHER}, "application/cloudevents-batch+json"
    )
    assert answer.status == 200
    assert [of_event(event) for event in taken(service)] == [Trace(OTHER), Trace(PARENT)]
    binary = {f"ce-{name}": str(value) for name, value in EVENT.items() if name != "data"}
    answer = await service.post("/v1/events", b"1", binary | {"ce-traceparent": PARENT, "traceparent": OTHER})
    assert answer.status == 200
    assert [of_event(event) for event in taken(service)] == [Trace(PARENT)]
