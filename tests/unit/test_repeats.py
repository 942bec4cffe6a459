"""Repeats in the log: the first of a kind are told, the rest is counted and told as one line, and nothing is lost."""

import io
import json
import logging
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from service.telemetry import logs
from service.telemetry.repeats import MOST, MOST_KINDS, WINDOW_SECONDS, Repeats


def record(message: str = "the destination fails", level: int = logging.WARNING, **fields: Any) -> logging.LogRecord:
    return logging.makeLogRecord({"name": "x", "levelno": level, "levelname": "X", "msg": message, **fields})


def told(lines: list[logging.LogRecord]) -> list[tuple[str, int]]:
    return [(line.msg, vars(line)["repeated"]) for line in lines]


def test_the_first_of_a_kind_pass_and_the_rest_of_the_window_is_one_line() -> None:
    repeats = Repeats()
    held = [repeats.hold(record(), at / 10) for at in range(MOST + 7)]
    assert held == [False] * MOST + [True] * 7
    assert repeats.over(WINDOW_SECONDS - 0.1) == []
    assert told(repeats.over(WINDOW_SECONDS)) == [("the destination fails", 7)]
    assert repeats.over(WINDOW_SECONDS * 9) == []
    assert not repeats.hold(record(), WINDOW_SECONDS), "a new window"


def test_a_window_in_which_nothing_was_held_back_says_nothing() -> None:
    repeats = Repeats()
    repeats.hold(record(), 0.0)
    assert repeats.ends_at == float("inf")
    assert repeats.all() == []


@pytest.mark.parametrize("label", ["sink", "source", "route"])
def test_another_sink_source_or_route_is_another_kind(label: str) -> None:
    def labelled(value: str) -> logging.LogRecord:
        made = record()
        setattr(made, label, value)
        return made

    repeats = Repeats()
    for _ in range(MOST + 1):
        repeats.hold(labelled("orders"), 0.0)
    assert not repeats.hold(labelled("lake"), 0.0)
    (line,) = repeats.all()
    assert vars(line)[label] == "orders"


def test_what_differs_in_detail_alone_is_the_same_kind() -> None:
    repeats = Repeats()
    held = [repeats.hold(record(detail=str(number)), 0.0) for number in range(MOST + 1)]
    assert held[-1]


def test_what_is_critical_is_never_held_back() -> None:
    repeats = Repeats()
    assert not any(repeats.hold(record(level=logging.CRITICAL), 0.0) for _ in range(10 * MOST))


def test_hostile_variety_is_bounded_in_memory_and_in_lines_and_counted() -> None:
    repeats = Repeats()
    passed = sum(not repeats.hold(record(f"message {number} {'x' * 9999}"), 0.0) for number in range(10_000))
    assert passed == MOST_KINDS + MOST
    assert len(repeats._windows) == MOST_KINDS + 1
    assert told(repeats.all()) == [("messages of too many kinds were held back", 10_000 - passed)]


@pytest.fixture(autouse=True)
def _logging_as_it_was() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = handlers, level


def _read(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_at_the_end_the_count_is_told_with_the_worker_and_since_when() -> None:
    stream = io.StringIO()
    logs.setup(stream=stream, worker=3)
    (handler,) = logging.getLogger().handlers
    for number in range(MOST + 5):
        logging.getLogger("x").warning("again", extra={"sink": "lake", "detail": number})
    handler.close()
    *lines, last = _read(stream)
    assert len(lines) == MOST
    assert {name: last[name] for name in ("message", "level", "logger", "sink", "repeated", "worker")} == {
        "message": "again",
        "level": "warning",
        "logger": "x",
        "sink": "lake",
        "repeated": 5,
        "worker": 3,
    }
    assert last["since"].endswith("+00:00")
    assert last["since"] <= lines[0]["time"]
    assert "detail" not in last


def test_the_count_is_told_though_nothing_else_is_logged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.telemetry.repeats.WINDOW_SECONDS", 0.05)
    came = threading.Event()

    class Stream(io.StringIO):
        def write(self, text: str) -> int:
            written = super().write(text)
            if "repeated" in text:
                came.set()
            return written

    stream = Stream()
    logs.setup(stream=stream)
    for _ in range(MOST * 3):
        logging.getLogger("x").warning("again")
    assert came.wait(20)


def test_an_error_is_told_by_type_and_place_without_its_words() -> None:
    try:
        try:
            int("4000 1234 5678 9010")
        except ValueError as error:
            raise RuntimeError("4000 1234 5678 9010") from error
    except RuntimeError as error:
        found = logs.where(error)
    assert "4000" not in found
    assert "RuntimeError" in found
    assert "from ValueError" in found
    assert "test_repeats.py:" in found
