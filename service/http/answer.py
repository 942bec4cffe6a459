"""Answers to a request: results per event, their status code, and problem+json for trouble outside events."""

import math
from collections.abc import Callable, Generator, Mapping, Sequence
from enum import StrEnum
from http import HTTPStatus
from typing import Any, Final

import orjson
from msgspec import Struct

from service.delivery.route import JOURNAL
from service.errors import Code, IngestError, TooMany, Unauthenticated, Unavailable
from service.receipt import Fate, Settlement

JSON = "application/json"
PROBLEM = "application/problem+json"
PIECE_EVENTS: Final = 250
"""Results of which the answer is made before it is looked whether a piece is over (`turns.advance`)."""
_CHALLENGE = 'Bearer realm="penstock"'
_MINIMAL = {"Preference-Applied": "return=minimal"}


class Answer(Struct, frozen=True):
    """What goes back to the producer."""

    status: int
    body: bytes
    media_type: str
    headers: Mapping[str, str] = {}


GONE: Final = Answer(400, b"", PROBLEM)
"""To a producer that has left before anything was taken: nobody reads it."""


class Status(StrEnum):
    """What became of an event, or of its way to one sink."""

    DELIVERED = "delivered"
    STORED = "stored"
    """Safe in the journal, to be delivered later."""
    INVALID = "invalid"
    """Refused here."""
    REJECTED = "rejected"
    """Refused by a destination."""
    FAILED = "failed"
    """Not delivered."""
    UNKNOWN = "unknown"
    """Perhaps delivered."""


class Result(Struct):
    """What became of one event (design section 7). `index` counts from 0 in the order of the request."""

    index: int
    id: str | None
    status: Status
    retryable: bool
    http_status: int
    """What this event alone would be answered with."""
    may_duplicate: bool = False
    sinks: Mapping[str, Status] = {}
    error: Mapping[str, Any] = {}

    def members(self) -> dict[str, Any]:
        """The result as it is written."""
        members: dict[str, Any] = {
            "index": self.index,
            "id": self.id,
            "status": self.status,
            "retryable": self.retryable,
        }
        if self.may_duplicate:
            members["may_duplicate"] = True
        if self.sinks:
            members["sinks"] = self.sinks
        if self.error:
            members["error"] = self.error
        return members


def delivered(index: int, id: str) -> Result:
    """The event is at every required sink."""
    return Result(index, id, Status.DELIVERED, False, 200)


def stored(index: int, id: str) -> Result:
    """The event is safe in the journal."""
    return Result(index, id, Status.STORED, False, 202)


def refused(index: int, id: str | None, error: IngestError, dead_lettered: bool) -> Result:
    """The event was refused before any lane took it."""
    members: dict[str, Any] = {"code": error.code.value, "detail": error.detail}
    members |= error.members
    if dead_lettered:
        members["dead_lettered"] = True
    status = Status.FAILED if error.retryable else Status.INVALID
    return Result(index, id, status, error.retryable, error.status, error=members)


def undelivered(
    index: int, id: str, lanes: tuple[str, ...], failures: Mapping[str, Settlement], settled: bool
) -> Result:
    """Not every required sink took the event. `settled`: False if some lanes had not ended it in time."""
    sinks = {lane: _at_sink(failures.get(lane), settled) for lane in lanes}
    at_sinks = set(sinks.values())
    rejections = {lane: s for lane, s in failures.items() if s.refused}
    if rejections:
        lane, settlement = next(iter(rejections.items()))
        code, status = Code.REJECTED_BY_SINK, Status.REJECTED
    elif failures:
        lane, settlement = next(iter(failures.items()))
        unknown = Status.UNKNOWN in at_sinks
        code, status = (Code.DELIVERY_UNKNOWN, Status.UNKNOWN) if unknown else (Code.NOT_DELIVERED, Status.FAILED)
    else:
        lane, settlement = lanes[0], None
        code, status = Code.DELIVERY_UNKNOWN, Status.UNKNOWN
    error: dict[str, Any] = {"code": code.value, "detail": _why(lane, settlement)}
    if any(s.fate is Fate.DEAD_LETTERED for s in failures.values()):
        error["dead_lettered"] = True
    return Result(
        index,
        id,
        status,
        retryable=not rejections,
        http_status=422 if rejections else 503,
        may_duplicate=Status.UNKNOWN in at_sinks or Status.DELIVERED in at_sinks,
        sinks=sinks if len(at_sinks) > 1 else {},
        error=error,
    )


def _at_sink(settlement: Settlement | None, settled: bool) -> Status:
    if settlement is None:
        return Status.DELIVERED if settled else Status.UNKNOWN
    if settlement.refused:
        return Status.REJECTED
    return Status.UNKNOWN if settlement.may_duplicate else Status.FAILED


def _why(lane: str, settlement: Settlement | None) -> str:
    where = "the journal" if lane == JOURNAL else f"sink {lane!r}"
    if settlement is None:
        return f"{where} had not answered in time; the event may still arrive"
    reason = settlement.reason.value if settlement.reason else settlement.fate.value
    return f"{where}: {reason}" + (f": {settlement.detail}" if settlement.detail else "")


class Listing:
    """The answer to a request whose events were read. Results are added piece by piece, and only their text is kept."""

    __slots__ = ("_failed", "_invalid", "_minimal", "_retryable", "_statuses", "_stored", "_texts", "_total")

    def __init__(self, minimal: bool) -> None:
        """`minimal`: it tells what failed, and nothing of the rest."""
        self._minimal = minimal
        self._total = self._failed = self._retryable = 0
        self._invalid = self._stored = False
        self._statuses: set[int] = set()
        """What each that failed would be answered with alone."""
        self._texts: list[bytes] = []

    def add(self, results: Sequence[Result]) -> None:
        """Add the next results, in the order of the request."""
        failed = [result for result in results if result.status not in _SAFE]
        self._total += len(results)
        self._failed += len(failed)
        self._retryable += sum([result.retryable for result in failed])
        self._statuses |= {result.http_status for result in failed}
        self._invalid = self._invalid or any(result.status is Status.INVALID for result in failed)
        self._stored = self._stored or any(result.status is Status.STORED for result in results)
        if shown := failed if self._minimal else results:
            self._texts.append(orjson.dumps([result.members() for result in shown])[1:-1])

    def answer(self, request_id: str, retry_after: Callable[[], float], strict: bool = False) -> Answer:
        """The answer, once all results are added. `retry_after` gives seconds; called if a retry helps. `strict`: one
        invalid event is enough for none to be taken."""
        headers: dict[str, str] = {}
        applied: list[str] = []
        if strict and self._invalid:
            status = 422
            applied.append("handling=strict")
        else:
            status = self._status()
            if self._retryable:
                headers = _retry_header(retry_after())
        if self._minimal:
            applied.append("return=minimal")
        if applied:
            headers["Preference-Applied"] = ", ".join(applied)
        summary = {"request_id": request_id, "failed": self._failed, "retryable": self._retryable}
        body = b'%b,"results":[%b]}' % (orjson.dumps(summary)[:-1], b",".join(self._texts))
        return Answer(status, body, JSON, headers)

    def _status(self) -> int:
        if not self._failed:
            return 202 if self._stored else 200
        if self._failed < self._total or 0 < self._retryable < self._failed:
            return 207
        return next(iter(self._statuses)) if len(self._statuses) == 1 else 422


_SAFE = (Status.DELIVERED, Status.STORED)


def all_safe(ids: Sequence[str], request_id: str, minimal: bool, *, stored: bool) -> Answer:
    """What `Listing` says of events that are all delivered, or all stored, made without a result for each."""
    return _safe([] if minimal else [_safe_results(ids, 0, stored)], request_id, minimal, stored)


def many_safe(ids: Sequence[str], request_id: str, minimal: bool, *, stored: bool) -> Generator[None, None, Answer]:
    """The same, piece by piece."""
    results: list[str] = []
    for first in range(0, 0 if minimal else len(ids), PIECE_EVENTS):
        results.append(_safe_results(ids[first : first + PIECE_EVENTS], first, stored))
        yield
    return _safe(results, request_id, minimal, stored)


def _safe_results(ids: Sequence[str], first: int, stored: bool) -> str:
    """The results of events from the index `first` on."""
    status = (Status.STORED if stored else Status.DELIVERED).value
    return ",".join(
        [
            f'{{"index":{index},"id":{_quoted(each)},"status":"{status}","retryable":false}}'
            for index, each in enumerate(ids, first)
        ]
    )


def _safe(results: list[str], request_id: str, minimal: bool, stored: bool) -> Answer:
    listed = ",".join(results)
    body = f'{{"request_id":{_quoted(request_id)},"failed":0,"retryable":0,"results":[{listed}]}}'
    return Answer(202 if stored else 200, body.encode(), JSON, _MINIMAL if minimal else {})


def _quoted(text: str) -> str:
    """The JSON string, as orjson writes it."""
    if text.isprintable() and '"' not in text and "\\" not in text:
        return f'"{text}"'
    return orjson.dumps(text).decode()


def of_error(error: IngestError, request_id: str) -> Answer:
    """The problem document of trouble outside events (RFC 9457)."""
    headers = _retry_header(error.retry_after) if isinstance(error, Unavailable | TooMany) else {}
    if isinstance(error, TooMany):
        headers |= error.headers
    if isinstance(error, Unauthenticated):
        headers["WWW-Authenticate"] = _CHALLENGE + (', error="invalid_token"' if error.given else "")
    return problem(
        error.status, error.code, error.detail, request_id, headers, retryable=error.retryable, **error.members
    )


def problem(
    status: int, code: Code, detail: str, request_id: str, headers: Mapping[str, str] | None = None, **members: Any
) -> Answer:
    """A problem document; `docs/errors.md` explains each code."""
    body = {
        "type": f"urn:penstock:error:{code.value}",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "code": code.value,
        "detail": detail,
        "request_id": request_id,
        **members,
    }
    return Answer(status, orjson.dumps(body), PROBLEM, headers or {})


def alone(found: Answer, request_id: str) -> bytes:
    """The bytes of an HTTP/1.1 response after which the connection ends, for what never became a request."""
    lines = [
        f"HTTP/1.1 {found.status} {HTTPStatus(found.status).phrase}",
        f"content-type: {found.media_type}",
        f"content-length: {len(found.body)}",
        *(f"{name.lower()}: {value}" for name, value in found.headers.items()),
        f"x-request-id: {request_id}",
        "connection: close",
    ]
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + found.body


def _retry_header(seconds: float) -> dict[str, str]:
    """Retry-After as whole seconds (RFC 9110 section 10.2.3: 1*DIGIT), rounded up."""
    return {"Retry-After": str(max(1, math.ceil(seconds)))}
