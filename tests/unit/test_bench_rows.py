"""What the bench sends: the same events to both sides, in requests that are what they claim, to routes that exist."""

import gzip
import json
import struct
from pathlib import Path

import jsonschema_rs
import pytest
import yaml

from bench import bodies
from bench.rows import KINDS, ROWS, Row
from bench.runs import rows_of
from service.config.load import load


def requests(framed: bytes) -> list[tuple[dict[str, str], bytes]]:
    """Headers and body of each request."""
    found = []
    while framed:
        (size,) = struct.unpack(">I", framed[:4])
        head, _, body = framed[4 : 4 + size].partition(b"\r\n\r\n")
        framed = framed[4 + size :]
        named = dict(line.split(": ", 1) for line in head.decode().split("\r\n")[1:])
        assert int(named["Content-Length"]) == len(body)
        found.append((named, body))
    return found


def events(headers: dict[str, str], body: bytes) -> list[bytes]:
    if headers.get("Content-Encoding") == "gzip":
        body = gzip.decompress(body)
    if headers["Content-Type"] == "application/x-ndjson":
        return body.split(b"\n")
    parsed = json.loads(body)
    return [json.dumps(each, separators=(",", ":")).encode() for each in (parsed if body[:1] == b"[" else [parsed])]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_both_sides_get_the_same_events(row: Row) -> None:
    ours, naive = ([events(*each) for each in requests(framed)] for framed in (row.ours(), row.naive()))
    assert ours == naive
    assert {len(each) for each in ours} == {row.events}
    flat = [event for each in ours for event in each]
    assert {len(event) for event in flat} == {bodies.EVENT_BYTES}
    assert len(set(flat)) == len(flat) == KINDS


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_the_configuration_of_each_row_is_one(row: Row, tmp_path: Path) -> None:
    file = tmp_path / "penstock.yaml"
    file.write_text(yaml.safe_dump(row.configuration("127.0.0.1:9092", "http://127.0.0.1:1")), "utf-8")
    config = load(file, {})
    assert set(config.sinks) == set(row.to)
    assert config.routes["orders"].key == (None if row.lines else "ce:subject")


def test_the_events_satisfy_their_schema_and_the_naive_model() -> None:
    from bench.naive.models import Event

    event = bodies.event(7)
    assert jsonschema_rs.validator_for(bodies.SCHEMA).is_valid(json.loads(event)["data"])
    assert Event.model_validate_json(event).subject == "order-007"
    assert json.loads(Event.model_validate_json(event).model_dump_json()) == json.loads(event)


def test_row_names_are_unique() -> None:
    assert len({row.name for row in ROWS}) == len(ROWS)


@pytest.mark.parametrize("size", [bodies.LEAST_BYTES, bodies.EVENT_BYTES, 5000])
def test_an_event_has_the_size_that_is_asked_for_and_obeys_the_schema(size: int) -> None:
    made = bodies.event(7, size)
    assert len(made) == size
    jsonschema_rs.validator_for(bodies.SCHEMA).validate(json.loads(made)["data"])
    (row,) = rows_of(["batch_kafka"], size)
    assert bodies.array([bodies.event(number, size) for number in range(100)]) in row.ours()
