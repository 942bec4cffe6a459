"""Sampling of refused events: off it costs nothing, on it tells what was wrong where, and never what is in an event."""

import json
import logging
import random
from typing import Any

import pytest

from service.errors import Code, InvalidEvent
from service.receiving.sampling import MOST_A_SECOND, Sampling, sampling
from service.telemetry.logs import JsonFormatter

BODY = b'{"card":"4000-1234","lines":[1,2]}'
ERROR = InvalidEvent(
    Code.SCHEMA_VIOLATION,
    '/card: "4000-1234" is not of type "number"',
    errors=[{"pointer": "#/card", "keyword": "type", "detail": '"4000-1234" is not of type "number"'}] * 3,
)


def told(caplog: pytest.LogCaptureFixture) -> list[dict[str, Any]]:
    return [json.loads(JsonFormatter().format(record)) for record in caplog.records]


@pytest.fixture(autouse=True)
def _info(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    caplog.set_level(logging.INFO)
    monkeypatch.setattr("service.receiving.sampling.monotonic", lambda: 7.5)


def test_by_default_there_is_none() -> None:
    assert sampling(0.0, values=True) is None
    assert sampling(0.1, values=False) is not None


def test_a_sample_says_what_was_wrong_where_and_no_value(caplog: pytest.LogCaptureFixture) -> None:
    Sampling(1.0, values=False).note("http", "orders", ERROR, BODY, "an-id")
    (line,) = told(caplog)
    assert {name: line[name] for name in line if name not in ("time", "logger")} == {
        "level": "info",
        "message": "an event was refused",
        "source": "http",
        "route": "orders",
        "request_id": "an-id",
        "code": "schema_violation",
        "pointer": "#/card",
        "keyword": "type",
        "violations": 3,
        "event_bytes": len(BODY),
        "outline": {"card": "string", "lines": ["number", "1 more"]},
    }
    assert "4000" not in json.dumps(line)


def test_values_are_told_only_where_that_is_set_too(caplog: pytest.LogCaptureFixture) -> None:
    Sampling(1.0, values=True).note("http", "orders", ERROR, BODY + b" " * 5000 + b"\xff", "")
    (line,) = told(caplog)
    assert line["value"].startswith(BODY.decode())
    assert len(line["value"]) == 1024
    assert line["detail"] == ERROR.detail
    assert "request_id" not in line


def test_so_many_a_second_are_told_at_most(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    sample = Sampling(1.0, values=False)
    for _ in range(100):
        sample.note("http", "orders", ERROR, BODY, "")
    assert len(caplog.records) == MOST_A_SECOND
    monkeypatch.setattr("service.receiving.sampling.monotonic", lambda: 8.0)
    sample.note("http", "orders", ERROR, BODY, "")
    assert len(caplog.records) == MOST_A_SECOND + 1


def test_the_share_is_kept(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.receiving.sampling.MOST_A_SECOND", 10**6)
    sample = Sampling(0.1, values=False, rng=random.Random(1))
    for _ in range(1000):
        sample.note("http", "orders", ERROR, BODY, "")
    assert 70 < len(caplog.records) < 130


def test_an_error_without_a_place_is_told_without_one(caplog: pytest.LogCaptureFixture) -> None:
    Sampling(1.0, values=False).note("queue", "", InvalidEvent(Code.MALFORMED_EVENT, "no", errors=[]), b"x", "")
    (line,) = told(caplog)
    assert "pointer" not in line
    assert line["outline"] == "1 bytes that are no JSON"
