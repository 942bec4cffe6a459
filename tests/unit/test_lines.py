"""Log lines to a pipe whose reader does not read."""

import json
import logging
import os
import select
from collections.abc import Iterator

import pytest

from service.telemetry import logs
from service.telemetry.lines import Lines


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    """Both ends; the one that is read does not block."""
    reads, writes = os.pipe()
    os.set_blocking(reads, False)
    yield reads, writes
    for end in (reads, writes):
        os.close(end)


@pytest.fixture(autouse=True)
def _logging_as_it_was() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = handlers, level


def _fill(writes: int) -> None:
    os.set_blocking(writes, False)
    for size in (select.PIPE_BUF, 1):
        try:
            while True:
                os.write(writes, b"." * size)
        except BlockingIOError:
            pass
    os.set_blocking(writes, True)


def _read(reads: int) -> bytes:
    found = b""
    try:
        while piece := os.read(reads, 1 << 16):
            found += piece
    except BlockingIOError:
        pass
    return found


def test_a_log_that_nobody_reads_holds_up_nobody_and_says_afterwards_what_it_lacks(pipe: tuple[int, int]) -> None:
    reads, writes = pipe
    with open(writes, "w", closefd=False) as stream:
        logs.setup(form="json", stream=stream)
        _fill(writes)
        log = logging.getLogger("penstock")
        log.critical("first")  # both would wait for ever
        log.critical("second")
        _read(reads)
        log.critical("third")
    lost, third = [json.loads(line) for line in _read(reads).splitlines()]
    assert (lost["message"], lost["lines"]) == ("log lines were lost: nobody read them in time", 2)
    assert third["message"] == "third"


def test_a_line_longer_than_a_pipe_takes_at_once_is_whole_where_it_is_read(pipe: tuple[int, int]) -> None:
    reads, writes = pipe
    line = "ä" * 3 * select.PIPE_BUF + "\n"
    Lines(writes).write(line)
    assert _read(reads).decode() == line


def test_after_a_line_that_was_cut_the_next_one_stands_alone(pipe: tuple[int, int]) -> None:
    reads, writes = pipe
    lines = Lines(writes)
    lines.write("x" * (1 << 21) + "\n")
    _read(reads)
    lines.write("next\n")
    assert (_read(reads), lines.lost) == (b"\nnext\n", 1)


def test_a_reader_that_is_gone_raises_nothing() -> None:
    reads, writes = os.pipe()
    os.close(reads)
    lines = Lines(writes)
    lines.write("to nobody\n")
    os.close(writes)
    assert lines.lost == 1
