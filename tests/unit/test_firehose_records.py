"""The body of a Firehose request: what is read is exactly what was sent, and memory is asked for it."""

import asyncio
import json
from base64 import b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.errors import Busy, TooLarge, Unreadable
from service.http.room import Hold, Room
from service.http.turns import Pieces
from service.receiving.received import Received
from service.sources.firehose import records as firehose_records
from service.sources.firehose.records import MESSAGE_BYTES, read
from service.telemetry.meter import Meter

HEADERS = {"tenant": b"t-1"}


def found(body: bytes, capacity: int = 2**30, name: str = "r-1") -> list[Received]:
    """What is read of `body`."""
    hold = Hold(Room(Meter(), capacity, 1))
    return asyncio.run(read(name, body, HEADERS, 10_000, hold, Pieces()))


def body(records: list[bytes], **layout: object) -> bytes:
    content = [{"data": b64encode(record).decode()} for record in records]
    return json.dumps({"records": content, "timestamp": 1, "requestId": "r-1"}, **layout).encode()  # type: ignore[arg-type]


@given(st.lists(st.binary(max_size=100), min_size=1, max_size=50), st.sampled_from([None, 0, 7]))
def test_records_are_read_as_they_were_written(records: list[bytes], indent: int | None) -> None:
    messages = found(body(records, indent=indent))
    assert [each.message.value for each in messages] == records
    assert [each.place for each in messages] == [f"r-1/{index}" for index in range(len(records))]
    assert all(each.message.headers == HEADERS and each.refusal is None for each in messages)


@given(st.binary(max_size=200) | st.from_regex(r'\{"requestId":"r-1","records":\[.{0,40}\]\}').map(str.encode))
def test_whatever_comes_is_read_or_refused_with_its_bytes_or_unreadable(content: bytes) -> None:
    try:
        messages = found(content)
    except Unreadable:
        return
    assert messages, "200 would be said of nothing"
    for each in messages:
        if each.refusal is None:
            assert b'"data"' in content
        else:
            assert each.message.value
            assert each.message.value in content


def test_what_other_members_may_come_are_passed_over() -> None:
    content = b'{"requestId":"r-1","new":{"a":[1]},"records":[{"data":"YQ==","more":{"x":[{}]}}]}'
    assert [each.message.value for each in found(content)] == [b"a"]


def test_a_name_that_stands_twice_is_found_wherever_it_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    good = body([b"x" * 50])
    double = good[:-1] + b', "records": []}'
    for step in range(1, len(double) + 1):
        monkeypatch.setattr(firehose_records, "_STEP_BYTES", step)
        assert len(found(good)) == 1
        with pytest.raises(Unreadable):
            found(double)


def test_records_without_bytes_take_memory_too() -> None:
    content = body([b""] * 1000)
    assert len(found(content, 1000 * MESSAGE_BYTES)) == 1000
    with pytest.raises(TooLarge):
        found(content, 1000 * MESSAGE_BYTES - 1)


def test_without_room_for_its_records_a_request_is_busy() -> None:
    room = Room(Meter(), 2**20, 2)
    other = Hold(room, 2**20 - 1000)
    with pytest.raises(Busy):
        asyncio.run(read("r-1", body([b""] * 1000), HEADERS, 10_000, Hold(room), Pieces()))
    other.end()
