"""Logs on stderr: one event a line, a constant message and fields; JSON, or readable on a terminal."""

import json
import logging
import sys
from datetime import UTC, datetime
from functools import partial
from typing import Any, Literal, TextIO

import orjson

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {
    "message",
    "asctime",
    "taskName",
    "color_message",
}


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time, level, logger, message, then the record's own fields."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **_fields(record),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        try:
            return orjson.dumps(line, default=str, option=orjson.OPT_NON_STR_KEYS).decode()
        except TypeError:
            # lone surrogates and integers above 64 bits, which orjson refuses; a line is never lost for them
            return json.dumps(line, default=str, skipkeys=True)


class TextFormatter(logging.Formatter):
    """Readable: time, level, message, fields as name=value. Control characters are escaped."""

    def format(self, record: logging.LogRecord) -> str:
        time = datetime.fromtimestamp(record.created).strftime("%H:%M:%S.%f")[:-3]
        fields = "".join(f" {name}={_plain(value)}" for name, value in _fields(record).items())
        line = f"{time} {record.levelname:<7} {_plain(record.getMessage())}{fields}"
        if record.exc_info:
            line += "\n" + self.formatException(record.exc_info)
        return line


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    return {name: value for name, value in vars(record).items() if name not in _STANDARD}


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
) -> None:
    """Send all logs to `stream` (stderr unless told). `auto` is readable on a terminal, else JSON.

    `worker`: a field of every line, where several processes write to the same stream.
    """
    target = stream or sys.stderr
    readable = form == "text" or (form == "auto" and target.isatty())
    handler = logging.StreamHandler(target)
    handler.setFormatter(TextFormatter() if readable else JsonFormatter())
    if worker is not None:
        handler.addFilter(partial(_mark, worker))
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    for noisy in ("botocore", "aiobotocore", "aiohttp", "uvicorn", "asyncio"):
        logging.getLogger(noisy).setLevel(max(logging.WARNING, logging.getLevelName(level.upper())))
