"""The envelope of a dead letter: the event unharmed, and all beside it bounded."""

import base64
import json
import tracemalloc
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.delivery.deadletter import ENVELOPE_BYTES, Letter, envelope, enveloped, largest_envelope
from service.event import NO_ATTRIBUTES, Event, Origin
from service.outcome import Reason


def event(body: bytes = b"{}", **changes: Any) -> Event:
    members: dict[str, Any] = {
        "id": "A1",
        "route": "orders",
        "key": None,
        "content_type": "application/json",
        "attributes": {"id": "A1"},
        "origin": Origin("http", 1732431600.25, "192.0.2.7", "r-1"),
    }
    return Event(body=body, **members | changes)


def letter(of: Event, detail: str = "", errors: Any = (), sink: str = "lake") -> bytes:
    return envelope(
        of, sink=sink, reason=Reason.TOO_LARGE, detail=detail, attempts=3, dead_lettered_at=1732431601, errors=errors
    )


def body_of(written: bytes) -> bytes:
    read = json.loads(written)
    assert ("body" in read) != ("body_base64" in read)
    return read["body"].encode() if "body" in read else base64.b64decode(read["body_base64"])


def test_a_letter_says_what_happened_to_which_event_and_when() -> None:
    errors = [{"pointer": "#/a", "keyword": "type", "detail": "must be a string"}]
    assert json.loads(letter(event(b'{"a": "\xc3\xa9"}', key="k"), "too big", errors)) == {
        "dead_letter": "1",
        "id": "A1",
        "route": "orders",
        "sink": "lake",
        "reason": "too_large",
        "detail": "too big",
        "attempts": 3,
        "received_at": "2024-11-24T07:00:00.250+00:00",
        "dead_lettered_at": "2024-11-24T07:00:01.000+00:00",
        "source": "http",
        "producer": "192.0.2.7",
        "request_id": "r-1",
        "content_type": "application/json",
        "key": "k",
        "errors": errors,
        "attributes": {"id": "A1"},
        "body": '{"a": "é"}',
    }


@given(
    st.binary(max_size=200)
    | st.text().map(str.encode)
    | st.sampled_from([b"\x00" * 999, b'"\\' * 999, b"\xef\xbb\xbf{}"])
)
def test_the_original_bytes_come_back_and_the_letter_keeps_its_bound(body: bytes) -> None:
    written = letter(event(body))
    assert body_of(written) == body
    assert len(written) <= largest_envelope(len(body))


@pytest.mark.parametrize(
    ("body", "member"), [(b"text \xe2\x82\xac", "body"), (b"\xff", "body_base64"), (bytes(999), "body_base64")]
)
def test_bytes_are_text_where_that_is_shorter_than_base64(body: bytes, member: str) -> None:
    assert member in json.loads(letter(event(body)))


@pytest.mark.parametrize("unit", ["x", "é", "\U0001f600", "\x00", '"', "\ud800"])
def test_everything_beside_the_body_is_cut_to_the_bound(unit: str) -> None:
    long = unit * 100_000
    errors = [{"pointer": long, "keyword": long, "detail": long}] * 50
    origin = Origin(long, 0.0, long, long)
    for attributes in (NO_ATTRIBUTES, {"id": long}, {long: unit}, {"a": unit * 500}):
        wordy = event(b"{}", id=long, route=long, key=long, content_type=long, attributes=attributes, origin=origin)
        written = letter(wordy, long, errors, sink=long)
        assert len(written) <= ENVELOPE_BYTES
        assert body_of(written) == b"{}"
        assert json.loads(written)["detail"]


def test_a_lone_surrogate_is_written_as_a_question_mark() -> None:
    written = letter(event(attributes={"id": "a\udcff"}, id="a\udcff"), "file \udcff", [{"detail": "\ud800"}])
    read = json.loads(written)
    assert (read["id"], read["attributes"], read["detail"]) == ("a?", {"id": "a?"}, "file ?")
    assert read["errors"] == [{"detail": "?"}]


def test_as_many_errors_as_fit_are_kept() -> None:
    errors = [{"pointer": f"#/{n}", "keyword": "type", "detail": "x" * 300} for n in range(50)]
    kept = json.loads(letter(event(), errors=errors))["errors"]
    assert kept == errors[: len(kept)]
    assert len(kept) >= 10


def test_a_letter_keeps_no_more_memory_than_its_bytes() -> None:
    tracemalloc.start()
    try:
        letters = [letter(event(b"x" * 1000)) for _ in range(50)]
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held < 1.2 * sum(map(len, letters))


def test_letters_of_events_with_one_id_from_two_sources_have_two_names_for_a_fifo_queue() -> None:
    def named(source: str | None) -> tuple[str, str]:
        attributes = {"id": "A1"} if source is None else {"id": "A1", "source": source}
        found = enveloped(Letter(event(attributes=attributes), "lake", Reason.TOO_LARGE, "", 1, lambda kept: None))
        return found.attributes["source"], found.id

    names = [named(source) for source in (None, "/shop/1", "/shop/2", "/shop/1")]
    assert names[0] == ("/routes/orders/dead-letters", "A1/lake")
    assert names[1] == names[3]
    assert len(set(names)) == 3
    assert all(len(source) < 60 for source, _ in (*names, named("/" + "x" * 10_000)))
