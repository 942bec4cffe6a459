"""A collector of spans: OTLP over HTTP, decoded as protobuf, in a thread of this process."""

import gzip
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

SECONDS = 20.0


class Collector:
    """Keeps what is sent to it, from `with` to the end of it."""

    def __init__(self) -> None:
        self.spans: list[Span] = []
        self.resources: list[dict[str, str]] = []
        self.headers: list[dict[str, str]] = []
        """Of each request, by lower-cased name."""
        self.paths: set[str] = set()
        self.status = 200
        """What it answers."""
        self._changed = threading.Condition()

    def __enter__(self) -> Self:
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.headers["Content-Encoding"] == "gzip":
                    body = gzip.decompress(body)
                collector._take(self.path, {name.lower(): value for name, value in self.headers.items()}, body)
                self.send_response(collector.status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:
                return

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def _take(self, path: str, headers: dict[str, str], body: bytes) -> None:
        request = ExportTraceServiceRequest.FromString(body)
        with self._changed:
            self.paths.add(path)
            self.headers.append(headers)
            for group in request.resource_spans:
                self.resources.append(_attributes(group.resource))
                if self.status == 200:
                    self.spans += [span for scope in group.scope_spans for span in scope.spans]
            self._changed.notify_all()

    def until(self, holds: Callable[[list[Span]], bool]) -> list[Span]:
        """The spans, once it holds of them. Blocks. Raises AssertionError."""
        end = time.monotonic() + SECONDS
        with self._changed:
            while not holds(self.spans):
                assert self._changed.wait(max(0.0, end - time.monotonic())), [span.name for span in self.spans]
            return list(self.spans)

    def asked(self, times: int = 1) -> None:
        """Return once it was asked so often. Blocks."""
        self.until(lambda _: len(self.headers) >= times)


def _attributes(of: Any) -> dict[str, str]:
    return {each.key: each.value.string_value or str(each.value.int_value) for each in of.attributes}


def attributes(span: Span) -> dict[str, str]:
    """The attributes of a span, as text."""
    return _attributes(span)


def named(traceparent: str) -> str:
    """The trace and the span of a `traceparent`: its flags are not sent to a collector."""
    return traceparent[3:52]


def place(span: Span) -> str:
    """The same of a span."""
    return f"{span.trace_id.hex()}-{span.span_id.hex()}"


def parent(span: Span) -> str:
    """That of the span above it."""
    return f"{span.trace_id.hex()}-{span.parent_span_id.hex()}"


def links(span: Span) -> list[str]:
    """Those of the spans that it is linked to."""
    return [f"{link.trace_id.hex()}-{link.span_id.hex()}" for link in span.links]
