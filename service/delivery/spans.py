"""Spans of what we do with events: of requests, of messages that are taken, of calls to destinations.

Who began a trace says whether it is recorded; of what comes without one, a part is. What is not recorded costs a
comparison. Attributes are those of OpenTelemetry's semantic conventions, for HTTP (stable) and messaging (in
development, as of 1.37).
"""

import random
from collections.abc import Coroutine, Sequence
from typing import Any, Final

from service.codecs.tracecontext import PARENT, of_event
from service.delivery import attempt
from service.event import Event, Trace
from service.outcome import Delivered, Outcome, Reason
from service.sinks.contract import Batch, Sink, SinkConfig
from service.telemetry.tracing import MOST_LINKS, Kind, Span, Tracer

SYSTEMS: Final = {"sqs": "aws_sqs", "kinesis": "aws_kinesis", "firehose": "aws_firehose"}
"""`messaging.system` of a type of sink or source that is called otherwise. For Kinesis and Firehose the conventions
have none."""
_DESTINATIONS: Final = {"kafka": "topic", "sqs": "queue", "kinesis": "stream", "firehose": "delivery_stream"}
"""The setting that names the destination, by type of sink."""
_ENDED: Final = "shutdown"


class Spans:
    """Decides what is recorded."""

    def __init__(self, tracer: Tracer, sample: float) -> None:
        """`sample`: the part of what comes without a trace."""
        self.tracer = tracer
        self.sample = sample

    def samples(self, trace: Trace | None) -> bool:
        """Whether something that came with `trace` is recorded."""
        return trace.sampled if trace is not None else random.random() < self.sample

    def request(self, trace: Trace | None) -> "RequestSpan | None":
        """The span of a request that begins now; None if it is not recorded."""
        if not self.samples(trace):
            return None
        given = trace or _NONE
        return RequestSpan(self.tracer.begin(Kind.SERVER, given.parent, given.state), given.state)

    def poll(self, source: str, system: str) -> "PollSpan":
        """That of messages which are handed over now."""
        return PollSpan(self, source, system)


_NONE: Final = Trace("")


class RequestSpan:
    """That of one HTTP request, until it is answered."""

    __slots__ = ("_span", "trace")

    def __init__(self, span: Span, state: str) -> None:
        self._span = span
        self.trace = Trace(span.traceparent, state, own=True)
        """Where its events are from now on."""

    def end(self, method: str, path: str, status: int, request_id: str, *, known: bool = True) -> None:
        """It is answered. `known`: `path` is one of few, and may be part of a name."""
        told: dict[str, str | int] = {
            "http.request.method": method,
            "http.response.status_code": status,
            "url.path": path,
            "url.scheme": "http",
            "penstock.request_id": request_id,
        }
        if known:
            told["http.route"] = path
        # 4xx is the client's trouble (conventions for HTTP server spans)
        self._span.end(f"{method} {path}" if known else method, told, str(status) if status >= 500 else "")


class PollSpan:
    """That of some messages of one order, if one of them is recorded."""

    __slots__ = ("_linked", "_messages", "_own", "_source", "_span", "_spans", "_system")

    def __init__(self, spans: Spans, source: str, system: str) -> None:
        self._spans = spans
        self._source = source
        self._system = system
        self._span: Span | None = None
        self._own: Trace | None = None
        self._linked = self._messages = 0

    def of(self, trace: Trace | None) -> Trace | None:
        """Where a message that came with `trace` is from now on: there still, for this span is of many. One that came
        with none is in ours, if that is recorded."""
        self._messages += 1
        if trace is None:
            if self._messages == 1 and self._spans.samples(None):
                self._own = Trace(self._recorded().traceparent, own=True)
            return self._own
        if trace.sampled and self._linked < MOST_LINKS:
            self._linked += 1
            self._recorded().link(trace.parent, trace.state)
        return trace

    def _recorded(self) -> Span:
        if self._span is None:
            self._span = self._spans.tracer.begin(Kind.CONSUMER)
        return self._span

    def end(self, order: str) -> None:
        """They are handed over. `order`: the name of theirs."""
        if self._span is None:
            return
        told: dict[str, str | int] = {
            "messaging.system": self._system,
            "messaging.operation.name": "process",
            "messaging.operation.type": "process",
            "messaging.batch.message_count": self._messages,
            "penstock.source": self._source,
        }
        if self._system == "kafka":
            told["messaging.destination.name"], _, told["messaging.destination.partition.id"] = order.rpartition("/")
        self._span.end(f"process {told.get('messaging.destination.name', self._source)}", told)


class Writes:
    """Makes the calls of one lane, each in a span of its own if an event in it is recorded."""

    def __init__(self, spans: Spans, sink: str, settings: SinkConfig) -> None:
        self._spans = spans
        self._told: dict[str, str | int] = {
            "messaging.system": SYSTEMS.get(settings.type, settings.type),
            "messaging.destination.name": str(getattr(settings, _DESTINATIONS.get(settings.type, ""), sink)),
            "messaging.operation.name": "send",
            "messaging.operation.type": "send",
            "penstock.sink": sink,
        }

    def write(
        self, name: str, sink: Sink, batch: Batch, started: float, seconds: float, silent: bool
    ) -> Coroutine[Any, Any, Sequence[Outcome]]:
        """As `attempt.write`."""
        call = attempt.write(name, sink, batch, started, seconds, silent)
        recorded = _recorded(batch.events)
        return self._write(call, recorded, len(batch)) if recorded else call

    async def _write(
        self, call: Coroutine[Any, Any, Sequence[Outcome]], recorded: Sequence[Trace], events: int
    ) -> Sequence[Outcome]:
        first = recorded[0]
        # it is shown in the trace of the first, and linked to all
        span = self._spans.tracer.begin(Kind.CLIENT, first.parent, first.state)
        for trace in recorded:
            span.link(trace.parent, trace.state)
        error, failed = _ENDED, events
        try:
            outcomes = await call
            bad = [each for each in outcomes if not isinstance(each, Delivered)]
            error, failed = _reason(bad), len(bad)
            return outcomes
        finally:
            told = {**self._told, "messaging.batch.message_count": events, "penstock.events.failed": failed}
            span.end(f"send {self._told['messaging.destination.name']}", told, error)


def _reason(bad: Sequence[Outcome]) -> str:
    """Why the first of those failed that did; empty if none did. What found no room goes with the next call."""
    for each in bad:
        reason = getattr(each, "reason", Reason.BAD_ANSWER)
        if reason is not Reason.NO_ROOM:
            return str(getattr(reason, "value", reason))
    return ""


def _recorded(events: Sequence[Event]) -> list[Trace]:
    """Where those of the events are that are recorded, each place once; MOST_LINKS at most."""
    found: dict[str, Trace] = {}
    for event in events:
        trace = event.origin.trace
        if trace is None and PARENT not in event.attributes:
            continue
        trace = of_event(event)
        if trace is not None and trace.sampled:
            found[trace.parent] = trace
            if len(found) == MOST_LINKS:
                break
    return list(found.values())
