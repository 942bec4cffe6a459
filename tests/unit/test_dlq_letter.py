"""Dead letters as they are read back: the original bytes, the ways a sink holds them, and which of them are meant."""

import base64
import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.delivery.deadletter import envelope
from service.dlq import showing
from service.dlq.letter import Letter, NotALetterError
from service.dlq.selection import Selection, moment
from service.event import Event, Origin
from service.outcome import Reason

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)


def event(body: bytes = b"{}", id: str = "A1", content_type: str = "application/json") -> Event:
    attributes = {"specversion": "1.0", "id": id, "source": "/routes/orders", "type": "orders"}
    return Event(id, "orders", "k", body, content_type, attributes, Origin("http", NOW.timestamp()))


def written(of: Event, sink: str = "lake") -> bytes:
    return envelope(of, sink=sink, reason=Reason.TOO_LARGE, detail="d", attempts=3, dead_lettered_at=NOW.timestamp())


@given(st.binary(max_size=300) | st.text(max_size=100).map(str.encode))
def test_the_original_bytes_are_restored_exactly_also_out_of_a_cloudevent(body: bytes) -> None:
    bare = written(event(body))
    head = {
        "specversion": "1.0",
        "id": "A1/lake",
        "source": "/routes/orders/dead-letters",
        "type": "penstock.dead_letter",
    }
    wrapped = json.dumps(head | {"data": json.loads(bare)}).encode()
    encoded = json.dumps(head | {"data_base64": base64.b64encode(bare).decode()}).encode()
    for raw in (bare, wrapped, encoded):
        assert Letter.parse(raw).body == body


def test_all_that_the_envelope_says_is_read() -> None:
    raw = written(event(b"\xff", content_type="image/png"))
    letter = Letter.parse(raw)
    assert (letter.id, letter.name, letter.route, letter.sink) == ("A1", "A1/lake", "orders", "lake")
    assert (letter.reason, letter.detail, letter.attempts, letter.key) == ("too_large", "d", 3, "k")
    assert (letter.dead_lettered_at, letter.content_type, letter.size) == (NOW, "image/png", len(raw))
    assert letter.attributes == event().attributes


def test_an_id_that_was_cut_in_the_envelope_is_whole_in_its_attributes() -> None:
    long = "é" * 1000
    assert Letter.parse(written(event(id=long))).id == long


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"\xff", "not JSON"),
        (b"[]", "no dead letter"),
        (b'{"id": "A1"}', "no dead letter"),
        (b'{"type": "penstock.dead_letter", "data_base64": "?"}', "not JSON"),
        (b'{"type": "penstock.dead_letter", "data_base64": 1}', "not JSON"),
        (b'{"dead_letter": "2"}', "version '2'"),
        (b'{"dead_letter": "1"}', "without a body"),
        (b'{"dead_letter": "1", "body_base64": "?"}', "body cannot be read"),
        (b'{"dead_letter": "1", "body": ""}', "envelope is broken"),
        (written(event()).replace(b'"attempts":3', b'"attempts":null'), "envelope is broken"),
        (written(event()).replace(b"+00:00", b""), "time without a zone"),
    ],
)
def test_what_is_no_letter_is_told_apart_with_the_reason(raw: bytes, message: str) -> None:
    with pytest.raises(NotALetterError, match=message):
        Letter.parse(raw)


@pytest.mark.parametrize(
    ("selection", "taken"),
    [
        (Selection(), True),
        (Selection(id="A1"), True),
        (Selection(id="A1/lake"), True),
        (Selection(id="A1/queue"), False),
        (Selection(route="orders", reason="too_large", refused_by="lake"), True),
        (Selection(route="order"), False),
        (Selection(reason="invalid"), False),
        (Selection(refused_by="queue"), False),
        (Selection(since=NOW), True),
        (Selection(since=NOW + timedelta(seconds=1)), False),
        (Selection(until=NOW), False),
        (Selection(until=NOW + timedelta(seconds=1)), True),
    ],
)
def test_everything_that_is_asked_must_hold(selection: Selection, taken: bool) -> None:
    assert selection.takes(Letter.parse(written(event()))) is taken


def test_an_invalid_event_was_refused_by_no_sink() -> None:
    letter = Letter.parse(written(event(), sink=""))
    assert Selection(refused_by="invalid", id="A1/invalid").takes(letter)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("90m", NOW - timedelta(minutes=90)),
        ("2d", NOW - timedelta(days=2)),
        ("2026-01-30T12:00:00Z", NOW - timedelta(days=1)),
        ("2026-01-30T13:00:00+01:00", NOW - timedelta(days=1)),
        ("2026-01-31", NOW - timedelta(hours=12)),
    ],
)
def test_a_time_is_how_long_ago_or_a_date(text: str, found: datetime) -> None:
    assert moment(text, NOW) == found


@pytest.mark.parametrize("text", ["yesterday", "", "1 week", "99999999999d"])
def test_what_is_no_time_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match="such as 90m, 1h or 2d, or RFC 3339"):
        moment(text, NOW)


def test_what_a_producer_sent_gives_the_terminal_no_orders() -> None:
    hostile = "a\x1b[31m\u202eb"
    letter = Letter.parse(written(event(f'{{"x": "{hostile}"}}'.encode(), id=hostile)))
    assert showing.row(letter)[0] == "a\\x1b[31m\\u202eb"
    for text in (showing.table([showing.row(letter)]), showing.whole(letter, "queue 'dead'")):
        assert "\x1b" not in text
        assert "\u202e" not in text
    assert json.loads(showing.as_json(letter, body=True))["body"] == f'{{"x": "{hostile}"}}'
