"""Logs: one event a line, as JSON for machines and as text for a terminal."""

import asyncio
import gc
import io
import json
import logging
from collections.abc import Iterator

import pytest

from service.telemetry import logs


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def _logging_as_it_was() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = handlers, level


def test_a_line_is_one_json_object_with_the_fields_of_its_event() -> None:
    stream = io.StringIO()
    logs.setup(stream=stream)
    logging.getLogger("penstock.lane").warning("a destination fails", extra={"sink": "orders", "calls": 3})
    (line,) = stream.getvalue().splitlines()
    found = json.loads(line)
    assert found.pop("time").endswith("+00:00")
    assert found == {
        "level": "warning",
        "logger": "penstock.lane",
        "message": "a destination fails",
        "sink": "orders",
        "calls": 3,
    }


@pytest.mark.parametrize(
    "value",
    ["line\nbreak", "\x1b[31mred", "\ud800", 2**70, {1: 2}, {("a",): object()}, object(), b"\xff", float("nan")],
)
def test_no_value_breaks_a_line_or_loses_it(value: object) -> None:
    stream = io.StringIO()
    logs.setup(stream=stream)
    logging.getLogger("x").info("event", extra={"value": value})
    (line,) = stream.getvalue().splitlines()
    assert json.loads(line)["message"] == "event"


@pytest.mark.parametrize("values", [False, True])
def test_an_exception_stays_on_its_line_and_its_words_are_told_where_that_is_set(values: bool) -> None:
    stream = io.StringIO()
    logs.setup(stream=stream, values=values)
    try:
        raise RuntimeError("card 4000-1234")
    except RuntimeError:
        logging.getLogger("x").exception("failed")
    (line,) = stream.getvalue().splitlines()
    assert "RuntimeError" in json.loads(line)["exception"]
    assert "test_logs.py" in json.loads(line)["exception"]
    assert ("4000-1234" in line) is values


@pytest.mark.parametrize("values", [False, True])
@pytest.mark.parametrize("stream", [io.StringIO, _Terminal])
async def test_what_nobody_awaited_is_told_without_its_words(values: bool, stream: type[io.StringIO]) -> None:
    written = stream()
    logs.setup(stream=written, values=values)

    async def failing() -> None:
        raise ValueError("card 4000-1234")

    task = asyncio.create_task(failing())
    await asyncio.wait([task])
    del task
    gc.collect()
    assert "Task exception was never retrieved" in written.getvalue()
    assert "ValueError" in written.getvalue()
    assert ("4000-1234" in written.getvalue()) is values


def test_a_terminal_gets_text_without_control_characters() -> None:
    stream = _Terminal()
    logs.setup(stream=stream)
    logging.getLogger("x").info("taken \x1b[31m", extra={"sink": "or\nders", "held": 3})
    (line,) = stream.getvalue().splitlines()
    assert line.endswith(r" INFO    taken \x1b[31m sink=or\nders held=3")


def test_the_form_may_be_demanded() -> None:
    terminal, pipe = _Terminal(), io.StringIO()
    logs.setup(form="json", stream=terminal)
    logging.getLogger("x").info("one")
    logs.setup(form="text", stream=pipe)
    logging.getLogger("x").info("two")
    assert json.loads(terminal.getvalue())["message"] == "one"
    assert pipe.getvalue().endswith(" INFO    two\n")


def test_below_the_level_nothing_is_written() -> None:
    stream = io.StringIO()
    logs.setup("warning", stream=stream)
    logging.getLogger("x").info("too quiet")
    logging.getLogger("botocore").info("too quiet")
    assert stream.getvalue() == ""


def test_libraries_do_not_fill_the_log() -> None:
    stream = io.StringIO()
    logs.setup("debug", stream=stream)
    for name in ("botocore.endpoint", "aiobotocore", "asyncio", "uvicorn.error"):
        logging.getLogger(name).debug("a payload, perhaps")
    logging.getLogger("service.app").debug("ours")
    assert [json.loads(line)["message"] for line in stream.getvalue().splitlines()] == ["ours"]
