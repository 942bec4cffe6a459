"""What a request must pass before its body is read, whichever way it came: room, credentials, route, announced size."""

from collections.abc import Collection, Iterable, Mapping
from contextlib import ExitStack

from msgspec import Struct

from service.config.settings import ServerConfig
from service.delivery.pipeline import DRAINING_RETRY_SECONDS, Pipeline
from service.delivery.route import Route
from service.errors import Code, Unavailable, Unreadable
from service.sources.arrival import Arrival, Room
from service.sources.ingest import Ingest
from service.sources.keys import Keys
from service.sources.reading import Request
from service.telemetry.meter import Meter

WORTH_REFUSING_BYTES = 16 * 1024
"""Bodies from here on are refused unread when their lane has no room; the events of smaller ones are counted."""


class Admitted(Struct):
    """A request whose body may come."""

    route: str
    target: Route | None
    """None: the route is found by each event's type."""
    allowed: Collection[str] | None
    """Routes that the producer may send to; None for all."""
    arrival: Arrival

    def request(self, headers: Mapping[str, str], body: bytes, request_id: str, address: str) -> Request:
        """The request, once its body is there."""
        return Request(
            route=self.route,
            headers=headers,
            body=body,
            request_id=request_id,
            address=address,
            allowed=self.allowed,
            keep=self.arrival.keep,
            plain_text=self.target is not None and self.target.allows(headers.get("origin")),
        )


class Admission:
    """The gate of the HTTP source."""

    def __init__(self, pipeline: Pipeline, server: ServerConfig, keys: Keys, meter: Meter) -> None:
        self.pipeline = pipeline
        self.server = server
        self.meter = meter
        self.ingest = Ingest(pipeline, server, meter)
        self._keys = keys
        self._room = Room(meter, server.body_memory, server.max_requests)

    def admit(
        self, route: str, headers: Mapping[str, str], raw: Collection[tuple[bytes, bytes]], held: ExitStack
    ) -> Admitted:
        """Take a request in, until `held` is closed. Raises IngestError if it is refused from its head alone.

        `headers` have lower-cased names, each of them once; `raw` are the same as they came.
        """
        self._room.enter()
        held.callback(self._room.leave)
        principal = self._keys.principal(headers)
        target = self.ingest.find(route, principal.routes)
        if self.pipeline.draining:
            raise draining("this replica is shutting down")
        if "upgrade" in headers and "upgrade" in headers.get("connection", "").lower():
            # httptools leaves the body of such a request unparsed (its on_headers_complete skips it)
            raise Unreadable(
                Code.MALFORMED_HEADER,
                "Upgrade: is not taken here; send plain HTTP/1.1 (with Java's HttpClient: version(HTTP_1_1))",
            )
        if len(headers) < len(raw):
            _demand_single(raw)
        arrival = held.enter_context(Arrival(self._room, self.server, headers))
        if target is not None and arrival.reserved >= WORTH_REFUSING_BYTES:
            self.pipeline.demand_room(target, arrival.reserved)
        return Admitted(route, target, principal.routes, arrival)


def draining(detail: str) -> Unavailable:
    """The refusal of a replica that shuts down."""
    return Unavailable(Code.DRAINING, detail, DRAINING_RETRY_SECONDS)


def header_map(raw: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    """Lower-cased names; values of a repeated header are joined (RFC 9110 section 5.3). Octets are Latin-1."""
    headers: dict[str, str] = {}
    for raw_name, raw_value in raw:
        name, value = raw_name.decode("latin-1"), raw_value.decode("latin-1")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers


def _demand_single(raw: Iterable[tuple[bytes, bytes]]) -> None:
    """Raise Unreadable (MALFORMED_HEADER) for two headers that name an event: joined, they would name another one."""
    seen = set[bytes]()
    for name, _ in raw:
        if name in seen and (name == b"idempotency-key" or name.startswith(b"ce-")):
            raise Unreadable(Code.MALFORMED_HEADER, f"{name[:80].decode('latin-1')}: stands there twice; send one")
        seen.add(name)
