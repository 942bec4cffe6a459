"""Spans by the OpenTelemetry SDK, sent over OTLP/HTTP by a thread of its own. Loaded only where tracing is on.

The queue is bounded: what does not fit, and what a collector that is away does not take, is counted and gone. No event
waits for any of it. Sources: OpenTelemetry specification 1.x, trace SDK and OTLP exporter; opentelemetry-sdk 1.45.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Final

from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanLimits, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.trace import (
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    TraceState,
    set_span_in_context,
)
from opentelemetry.trace import Span as ApiSpan

from service import __version__
from service.telemetry.tracing import CLOSE_SECONDS, MOST_LINKS, Attributes, Kind
from service.threads import off_loop

log = logging.getLogger(__name__)

QUEUE_SPANS: Final = 2048
"""Spans that wait to be sent, as many as the SDK's default."""
BATCH_SPANS: Final = 512
DELAY_MILLISECONDS: Final = 1000
EXPORT_SECONDS: Final = 5.0
"""Longest time of one request to the collector, with all attempts."""

_KINDS: Final = {Kind.SERVER: SpanKind.SERVER, Kind.CONSUMER: SpanKind.CONSUMER, Kind.CLIENT: SpanKind.CLIENT}
_SDK_LOGGERS: Final = ("opentelemetry.exporter.otlp.proto.http.trace_exporter", "opentelemetry.sdk._shared_internal")
"""What they say is said here, once."""


class OtlpTracer:
    """See `tracing.Tracer`."""

    def __init__(
        self,
        endpoint: str,
        headers: Mapping[str, str],
        resource: Mapping[str, str],
        dropped: Callable[[int], None],
    ) -> None:
        """`endpoint`: the collector's, to which `/v1/traces` is added. `resource`: attributes of whoever makes the
        spans. `dropped` is called, on the loop, with the number of spans that were lost."""
        loop = asyncio.get_running_loop()

        def lost(spans: int) -> None:
            with suppress(RuntimeError):  # the loop has closed
                loop.call_soon_threadsafe(dropped, spans)

        self._exporter = _Exporter(endpoint, headers, lost)
        self._processor = _Processor(self._exporter, lost)
        self._provider = TracerProvider(
            sampler=ALWAYS_ON,  # what is not sampled makes no span in the first place
            resource=Resource.create({"service.version": __version__, **resource}),
            shutdown_on_exit=False,
            span_limits=SpanLimits(max_links=MOST_LINKS),
        )
        self._provider.add_span_processor(self._processor)
        self._tracer = self._provider.get_tracer("penstock", __version__)

    def begin(self, kind: Kind, traceparent: str = "", tracestate: str = "") -> "_Span":
        """See `Tracer`."""
        parent = NonRecordingSpan(_context(traceparent, tracestate)) if traceparent else NonRecordingSpan(_NO_PARENT)
        # the name is known at the end
        return _Span(self._tracer.start_span(kind.value, set_span_in_context(parent), _KINDS[kind]))

    async def close(self) -> None:
        """See `Tracer`."""
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                await off_loop(self._provider.shutdown)
        except TimeoutError:
            left = self._processor.waiting
            log.warning("the last spans were not sent in time", extra={"spans": left})
            self._exporter.end()
        except Exception:
            # the SDK's threads and a foreign collector's answers: the end of the service waits for neither
            log.exception("tracing did not end as it should")
        finally:
            self._exporter.forget()


_NO_PARENT: Final = SpanContext(0, 0, is_remote=False)


def _context(traceparent: str, tracestate: str) -> SpanContext:
    """The span that a sound `traceparent` of version 00 names, which somebody else has recorded."""
    state = TraceState.from_header([tracestate]) if tracestate else None
    flags = TraceFlags(int(traceparent[53:55], 16))
    return SpanContext(int(traceparent[3:35], 16), int(traceparent[36:52], 16), True, flags, state)


class _Span:
    """See `tracing.Span`."""

    __slots__ = ("_span", "traceparent")

    def __init__(self, span: ApiSpan) -> None:
        self._span = span
        own = span.get_span_context()
        self.traceparent = f"00-{own.trace_id:032x}-{own.span_id:016x}-{own.trace_flags:02x}"

    def link(self, traceparent: str, tracestate: str) -> None:
        """See `Span`."""
        self._span.add_link(_context(traceparent, tracestate))

    def end(self, name: str, attributes: Attributes, error: str = "") -> None:
        """See `Span`."""
        span = self._span
        span.update_name(name)
        span.set_attributes(dict(attributes))
        if error:
            span.set_attribute("error.type", error)
            span.set_status(Status(StatusCode.ERROR))
        span.end()


class _Processor(BatchSpanProcessor):
    """Counts what it loses: the SDK's own drops the oldest of what waits, and says so in a log alone."""

    def __init__(self, exporter: "_Exporter", lost: Callable[[int], None]) -> None:
        self._sent = exporter
        self._lost = lost
        self._taken = 0
        super().__init__(
            exporter,
            max_queue_size=QUEUE_SPANS,
            schedule_delay_millis=DELAY_MILLISECONDS,
            max_export_batch_size=BATCH_SPANS,
        )

    @property
    def waiting(self) -> int:
        """Spans that have ended and were not given to the exporter."""
        return self._taken - self._sent.begun

    def on_end(self, span: ReadableSpan) -> None:
        """Called on the loop when a span has ended."""
        if self.waiting >= QUEUE_SPANS:
            self._lost(1)
            return
        self._taken += 1
        super().on_end(span)


class _Exporter(SpanExporter):
    """Sends; says once that it cannot, and once that it can again. All but `end` on the SDK's thread."""

    def __init__(self, endpoint: str, headers: Mapping[str, str], lost: Callable[[int], None]) -> None:
        url = f"{endpoint.rstrip('/')}/v1/traces"
        self._endpoint = url
        self._inner = OTLPSpanExporter(url, headers=dict(headers), timeout=EXPORT_SECONDS, compression=Compression.Gzip)
        self._lost = lost
        self._away = False
        self._complaint = ""
        self.begun = 0
        """Spans that were given to it."""
        for name in _SDK_LOGGERS:
            logging.getLogger(name).addFilter(self._hear)

    def _hear(self, record: logging.LogRecord) -> bool:
        self._complaint = record.getMessage()[:300]
        return False

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """See the SDK."""
        self.begun += len(spans)
        result = SpanExportResult.FAILURE
        try:
            result = self._inner.export(spans)
        finally:
            if result is not SpanExportResult.SUCCESS:
                self._lost(len(spans))
                if not self._away:
                    extra = {"endpoint": self._endpoint, "detail": self._complaint}
                    log.warning("spans cannot be sent, and are dropped; events are not affected", extra=extra)
            elif self._away:
                log.info("spans are sent again", extra={"endpoint": self._endpoint})
            self._away = result is not SpanExportResult.SUCCESS
        return result

    def end(self) -> None:
        """Try no more."""
        self._inner.shutdown()  # type: ignore[no-untyped-call]

    def shutdown(self) -> None:
        """See the SDK."""
        self._inner.shutdown()  # type: ignore[no-untyped-call]

    def forget(self) -> None:
        """Hear no more of what the SDK says."""
        for name in _SDK_LOGGERS:
            logging.getLogger(name).removeFilter(self._hear)
