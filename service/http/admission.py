"""What a request must pass before its body is read, whichever way it came: room, credentials, route, announced size."""

from collections.abc import Collection, Iterable, Mapping

from service.auth.authenticator import Authenticator
from service.config.settings import ServerConfig
from service.delivery.pipeline import Pipeline
from service.delivery.route import RESERVED_ROUTE, Route
from service.delivery.spans import Spans
from service.errors import Busy, Code, Draining, TooMany, Unreadable
from service.http.head import Head
from service.http.ingest import Ingest
from service.http.room import Hold, Room
from service.quotas.quotas import Quotas
from service.receiving.sampling import Sampling
from service.telemetry.meter import Meter

ENDED = "this replica ended before the request had arrived; nothing was taken"
"""What a client hears whose body the end of the service overtook."""


class Admission:
    """The gate of the HTTP source."""

    def __init__(
        self,
        pipeline: Pipeline,
        server: ServerConfig,
        authenticator: Authenticator,
        meter: Meter,
        spans: Spans | None = None,
        sampling: Sampling | None = None,
        quotas: Quotas | None = None,
    ) -> None:
        """`spans`: where requests are recorded. `sampling`: which refused events are logged. `quotas`: what producers
        are held to."""
        self.pipeline = pipeline
        self.server = server
        self.meter = meter
        self.spans = spans
        self.ingest = Ingest(pipeline, server, meter, sampling, quotas)
        self.authenticator = authenticator
        self._room = Room(meter, server.body_memory, server.max_requests)
        self._labels = frozenset(pipeline.routes) | {RESERVED_ROUTE}
        self.targets: Mapping[bytes, str] = {f"/v1/{name}".encode(): name for name in self._labels}
        """Plain request targets, and the name in each."""

    @property
    def capacity(self) -> int:
        """Bytes of memory for the bodies of all requests."""
        return self._room.capacity

    def head(
        self,
        route: str,
        headers: Mapping[str, str],
        raw: Collection[tuple[bytes, bytes]],
        subject: str | None = None,
    ) -> Head:
        """What the head of a request says. Raises IngestError if it is refused for that alone, until `Head.until`.

        `headers` have lower-cased names, each of them once; `raw` are the same as they came. `subject`: whom the
        client's verified certificate names (`tls.subject`).
        """
        grant = self.authenticator.grant(route, headers, subject)
        if "upgrade" in headers and "upgrade" in headers.get("connection", "").lower():
            # httptools leaves the body of such a request unparsed (its on_headers_complete skips it)
            raise Unreadable(
                Code.MALFORMED_HEADER,
                "Upgrade: is not taken here; send plain HTTP/1.1 (with Java's HttpClient: version(HTTP_1_1))",
            )
        if len(headers) < len(raw):
            _demand_single(raw)
        return self.ingest.head(route, headers, grant)

    def enter(self, size: int = 0, sender: str = "") -> Hold:
        """Let a request of `sender` in, with `size` bytes of memory, until the hold ends.

        Raises Draining, Busy if there is no place, or no memory now, or TooMany if the sender holds its share of them.
        Whether its lanes have room is for `refusal` to say.
        """
        if self.pipeline.draining:
            raise Draining()
        return Hold(self._room, size, sender)

    def refusal(self, target: Route | None, hold: Hold) -> Busy | TooMany | None:
        """Why the body of a request is not worth reading: what it announces has no room in a lane now.

        Nothing is known before it is read of one that announces no size, or whose route its events will tell.
        """
        if target is not None and hold.reserved:
            try:
                self.pipeline.demand_room(target, hold.reserved, hold.sender)
            except (Busy, TooMany) as refusal:
                hold.charge(0)
                return refusal
        return None

    def observe(self, route: str, status: int, seconds: float) -> None:
        """Count one answered request; what is no route of ours is counted under the empty one."""
        self.meter.observe_request(route if route in self._labels else "", status, seconds)


def _demand_single(raw: Iterable[tuple[bytes, bytes]]) -> None:
    """Raise Unreadable (MALFORMED_HEADER) for two headers that name an event: joined, they would name another one."""
    seen = set[bytes]()
    for name, _ in raw:
        if name in seen and (name == b"idempotency-key" or name.startswith(b"ce-")):
            raise Unreadable(Code.MALFORMED_HEADER, f"{name[:80].decode('latin-1')}: stands there twice; send one")
        seen.add(name)
