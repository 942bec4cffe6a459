"""What a request must pass before its body is read, whichever way it came: room, credentials, route, announced size."""

import re
from collections.abc import Collection, Iterable, Mapping

from msgspec import Struct

from service.config.settings import RESERVED_ROUTE, ServerConfig
from service.delivery.pipeline import Pipeline
from service.delivery.route import Route
from service.errors import Busy, Code, Draining, Unreadable
from service.event import uuid7
from service.sources.arrival import Arrival, Room
from service.sources.ingest import Ingest
from service.sources.keys import Keys
from service.sources.reading import Request
from service.telemetry.meter import Meter

ENDED = "this replica ended before the request had arrived; nothing was taken"
"""What a client hears whose body the end of the service overtook."""

_GIVEN = re.compile(r"[A-Za-z0-9._:/+=-]{1,128}\Z")


class Admitted(Struct):
    """A request whose body may come."""

    route: str
    target: Route | None
    """None: the route is found by each event's type."""
    allowed: Collection[str] | None
    """Routes that the producer may send to; None for all."""
    arrival: Arrival
    room: Room

    def release(self) -> None:
        """The answer is sent, or nobody is left to read it."""
        self.arrival.hold(0)
        self.room.leave()

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
        self._labels = frozenset(pipeline.routes) | {RESERVED_ROUTE}
        self.targets: Mapping[bytes, str] = {f"/v1/{name}".encode(): name for name in self._labels}
        """Plain request targets, and the name in each."""

    def admit(self, route: str, headers: Mapping[str, str], raw: Collection[tuple[bytes, bytes]]) -> Admitted:
        """Take a request in, until it is released. Raises IngestError if it is refused from its head alone.

        Whether its lanes have room is for `refusal` to say. `headers` have lower-cased names, each of them once;
        `raw` are the same as they came.
        """
        self._room.enter()
        try:
            principal = self._keys.principal(headers)
            target = self.ingest.find(route, principal.routes)
            if self.pipeline.draining:
                raise Draining()
            if "upgrade" in headers and "upgrade" in headers.get("connection", "").lower():
                # httptools leaves the body of such a request unparsed (its on_headers_complete skips it)
                raise Unreadable(
                    Code.MALFORMED_HEADER,
                    "Upgrade: is not taken here; send plain HTTP/1.1 (with Java's HttpClient: version(HTTP_1_1))",
                )
            if len(headers) < len(raw):
                _demand_single(raw)
            arrival = Arrival(self._room, self.server, headers)
        except BaseException:
            self._room.leave()
            raise
        return Admitted(route, target, principal.routes, arrival, self._room)

    def refusal(self, admitted: Admitted) -> Busy | None:
        """Why the body of a request is not worth reading: what it announces has no room in a lane now.

        Nothing is known before it is read of one that announces no size, or whose route its events will tell.
        """
        if admitted.target is not None and admitted.arrival.reserved:
            try:
                self.pipeline.demand_room(admitted.target, admitted.arrival.reserved)
            except Busy as busy:
                admitted.arrival.hold(0)
                return busy
        return None

    def observe(self, route: str, status: int, seconds: float) -> None:
        """Count one answered request; what is no route of ours is counted under the empty one."""
        self.meter.observe_request(route if route in self._labels else "", status, seconds)


def given_id(text: str | None) -> str:
    """A producer's own X-Request-Id if it is a plain one, else a new id."""
    return text if text is not None and _GIVEN.match(text) else uuid7()


def header_map(raw: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    """The headers by name; values of a repeated one are joined (RFC 9110 section 5.3). Octets are Latin-1.

    The names in `raw` are in lower case.
    """
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
