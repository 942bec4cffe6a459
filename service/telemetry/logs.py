"""Logs on stderr: one event a line, a constant message and fields; JSON, or readable on a terminal.

What repeats itself is held back and told once, with its count (`repeats.py`). What nobody reads is lost, and counted
(`lines.py`). Errors are told by their types and
places: what an event made somebody raise may quote it.
"""

import json
import logging
import re
import sys
import time
import traceback
from datetime import UTC, datetime
from functools import partial
from math import inf
from threading import Timer
from typing import Any, Literal, TextIO

import orjson

from service.telemetry.lines import Lines
from service.telemetry.repeats import Repeats

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {
    "message",
    "asctime",
    "taskName",
    "color_message",
}

_UNPRINTABLE = re.compile("[\x7f-\U0010ffff]")
"""All that may be."""


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time, level, logger, message, then the record's own fields."""

    def __init__(self, words: bool = False) -> None:
        """`words`: tell also what errors say."""
        super().__init__()
        self._words = words

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": _message(record, self._words),
            **_fields(record),
        }
        if record.exc_info and record.exc_info[1] is not None:
            line["exception"] = self.formatException(record.exc_info) if self._words else where(record.exc_info[1])
        try:
            text = orjson.dumps(line, default=str, option=orjson.OPT_NON_STR_KEYS).decode()
        except TypeError:
            # lone surrogates and integers above 64 bits, which orjson refuses; a line is never lost for them
            return json.dumps(line, default=str, skipkeys=True)
        # JSON escapes none above 0x1f: of those, some end a line for some who read it, and some command a terminal
        return text if text.isprintable() else _UNPRINTABLE.sub(_escaped, text)


class TextFormatter(logging.Formatter):
    """Readable: time, level, message, fields as name=value. Control characters are escaped."""

    def __init__(self, words: bool = False) -> None:
        """`words`: tell also what errors say."""
        super().__init__()
        self._words = words

    def format(self, record: logging.LogRecord) -> str:
        time = datetime.fromtimestamp(record.created).strftime("%H:%M:%S.%f")[:-3]
        fields = "".join(f" {name}={_plain(value)}" for name, value in _fields(record).items())
        line = f"{time} {record.levelname:<7} {_plain(_message(record, self._words))}{fields}"
        if record.exc_info and record.exc_info[1] is not None:
            line += "\n" + (self.formatException(record.exc_info) if self._words else where(record.exc_info[1]))
        return line


class Handler(logging.StreamHandler[Lines | TextIO]):
    """Writes lines to a stream, and of repeats their count: when their window is over, or at the end."""

    def __init__(self, stream: TextIO) -> None:
        self._lines = Lines.over(stream)
        super().__init__(self._lines or stream)
        self._repeats = Repeats()
        self._timer: Timer | None = None
        """Runs while something is held back, so that its count is told though nothing else is."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write a line, unless it is one too many of its kind."""
        now = time.monotonic()
        self._tell_lost()
        self._tell(self._repeats.over(now))
        if not self._repeats.hold(record, now):
            super().emit(record)
        elif self._timer is None:
            self._tell_later(now)

    def tell(self, now: float) -> None:
        """Tell of what was held back in windows that are over at monotonic time `now`."""
        self.acquire()
        try:
            self._timer = None
            self._tell(self._repeats.over(now))
            self._tell_later(now)
        finally:
            self.release()

    def close(self) -> None:
        """Tell of all that was held back. `logging` calls it when the process ends."""
        self.acquire()
        try:
            if self._timer is not None:
                self._timer.cancel()
            self._tell_lost()
            self._tell(self._repeats.all())
        finally:
            self.release()
        super().close()

    def _tell(self, lines: list[logging.LogRecord]) -> None:
        for line in lines:
            self.filter(line)  # which marks the worker
            super().emit(line)

    def _tell_lost(self) -> None:
        """Once somebody reads again, say how many lines are not there."""
        if self._lines is not None and self._lines.lost and self._lines.has_room:
            lost, self._lines.lost = self._lines.lost, 0
            line = {"name": __name__, "levelno": logging.WARNING, "levelname": "WARNING", "lines": lost}
            self._tell([logging.makeLogRecord(line | {"msg": "log lines were lost: nobody read them in time"})])

    def _tell_later(self, now: float) -> None:
        ends_at = self._repeats.ends_at
        if ends_at < inf:
            self._timer = Timer(max(0.0, ends_at - now), lambda: self.tell(time.monotonic()))
            self._timer.daemon = True
            self._timer.start()


def where(error: BaseException) -> str:
    """The types and stacks of an error and its causes, without their words: what is about an event may quote it."""
    told: list[str] = []
    seen: list[BaseException] = []
    at: BaseException | None = error
    while at is not None and at not in seen:
        seen.append(at)
        stack = [f"  {frame.filename}:{frame.lineno} {frame.name}" for frame in traceback.extract_tb(at.__traceback__)]
        kind = type(at)
        name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
        told.append("\n".join([name, *stack]))
        at = at.__cause__ or (None if at.__suppress_context__ else at.__context__)
    return "\nfrom ".join(told)


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    return {name: value for name, value in vars(record).items() if name not in _STANDARD}


def _message(record: logging.LogRecord, words: bool) -> str:
    """asyncio says what went wrong in its first line; those below show the error and its task, words and all."""
    text = record.getMessage()
    return text if words or record.name != "asyncio" else text.partition("\n")[0]


def _escaped(match: re.Match[str]) -> str:
    """An unprintable character as JSON may have it in a string; a printable one as it is."""
    character = match[0]
    return character if character.isprintable() else json.dumps(character)[1:-1]


def _plain(value: object) -> str:
    text = str(value)
    return text if text.isprintable() else text.encode("unicode_escape").decode()


def _mark(worker: int, record: logging.LogRecord) -> bool:
    record.worker = worker
    return True


def setup(
    level: str = "info",
    form: Literal["auto", "json", "text"] = "auto",
    stream: TextIO | None = None,
    worker: int | None = None,
    values: bool = False,
) -> None:
    """Send all logs to `stream` (stderr unless told). `auto` is readable on a terminal, else JSON.

    `worker`: a field of every line, where several processes write to the same stream. `values`: write also what may
    quote events.
    """
    target = stream or sys.stderr
    readable = form == "text" or (form == "auto" and target.isatty())
    handler = Handler(target)
    handler.setFormatter(TextFormatter(values) if readable else JsonFormatter(values))
    if worker is not None:
        handler.addFilter(partial(_mark, worker))
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    for noisy in ("botocore", "aiobotocore", "aiohttp", "uvicorn", "asyncio"):
        logging.getLogger(noisy).setLevel(max(logging.WARNING, logging.getLevelName(level.upper())))
