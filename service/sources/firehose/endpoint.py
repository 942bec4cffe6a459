"""Where Firehose calls: a request is answered 200 once all its records are safe, whatever the `ack` of their routes.
Whatever else it is answered, Firehose sends it again.
"""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from functools import partial
from http import HTTPStatus

from fastapi import Request, Response
from starlette.requests import ClientDisconnect

from service.delivery.route import Route
from service.delivery.shares import of_principal
from service.errors import Busy, Defect, Draining, IngestError
from service.http.admission import ENDED, Admission
from service.http.arrival import Arrival
from service.http.head import header_map
from service.http.ingest import is_large
from service.http.observed import until_answered
from service.http.room import Hold
from service.http.unread import Incoming, closing
from service.receiving.flow import Flow
from service.receiving.handover import Handover
from service.receiving.received import Received
from service.sources.firehose.answer import answered, plain_request_id, refused
from service.sources.firehose.delivery import Delivery
from service.sources.firehose.head import Head
from service.sources.firehose.keys import AccessKeys
from service.sources.firehose.records import read

log = logging.getLogger(__name__)

_FULL_RETRY_SECONDS = 2.0
_LATE_RETRY_SECONDS = 5.0


class Endpoint:
    """Takes the requests of one source. A body has the place, the memory and the time of any request of the port."""

    def __init__(
        self,
        handover: Handover,
        route: Route | None,
        keys: AccessKeys,
        admission: Admission,
        *,
        max_body: int,
        max_records: int,
        memory: int,
    ) -> None:
        """`memory`: most bytes of records that wait for room in the lanes."""
        self.open = False
        """Whether records are handed over."""
        self._handover = handover
        self._route = route
        self._keys = keys
        self._admission = admission
        self._server = admission.server.model_copy(update={"max_body": max_body, "max_decompressed": max_body})
        self._max_records = max_records
        self._memory = memory
        self._deliveries: set[Delivery] = set()

    @property
    def flows(self) -> Sequence[Flow]:
        """Those of the requests that wait."""
        return [delivery.flow for delivery in self._deliveries]

    def stop(self) -> None:
        """Hand over nothing more."""
        self.open = False
        for delivery in self._deliveries:
            delivery.halt()

    def give_up(self) -> None:
        """Wait for nothing more."""
        for delivery in self._deliveries:
            delivery.give_up()

    async def post(self, request: Request) -> Response:
        """The answer to one request, in the form that Firehose demands."""
        headers = header_map(request.scope["headers"])
        incoming = Incoming(request.receive)
        try:
            await self._take(request, headers, incoming)
        except ClientDisconnect:
            # Nobody is left to read an answer, and nothing was taken.
            return Response(status_code=HTTPStatus.BAD_REQUEST)
        except IngestError as error:
            return self._refused(error, headers, incoming)
        except Exception:
            of = {"source": self._handover.source, "request_id": plain_request_id(headers)}
            log.exception("a firehose request failed", extra=of)
            return self._refused(Defect(), headers, incoming)
        return answered(headers)

    def _refused(self, refusal: IngestError, headers: Mapping[str, str], incoming: Incoming) -> Response:
        log.info(
            "a firehose request was refused",
            extra={
                "source": self._handover.source,
                "request_id": plain_request_id(headers),
                "code": refusal.code.value,
                "detail": refusal.detail,
            },
        )
        return refused(headers, refusal, incoming, closing(refusal, headers, incoming))

    async def _take(self, request: Request, headers: Mapping[str, str], incoming: Incoming) -> None:
        """Return once every record is safe. Raises IngestError."""
        self._keys.demand(headers)
        head = Head.of(headers)
        if not self.open:
            raise Draining()
        hold = self._admission.enter(0, of_principal(self._handover.source))
        until_answered(request.scope).callback(hold.end)
        try:
            body = await Arrival(hold, self._server, headers, self._admission.ingest.pieces).read(incoming)
            messages = await self._read(head, body, hold)
        except asyncio.CancelledError:
            if self._admission.pipeline.draining:
                # the server is at its end, and did not wait for the rest of the body
                raise Draining(ENDED) from None
            raise
        finally:
            hold.charge(0)
        del body
        await self._deliver(head, messages)

    async def _read(self, head: Head, body: bytes, hold: Hold) -> list[Received]:
        """The messages in a body; large bodies take turns with those of all requests."""
        pieces, turns = self._admission.ingest.pieces, self._admission.ingest.large
        reading = partial(read, head.request_id, body, head.headers, self._max_records, hold, pieces)
        if not is_large(body):
            return await reading()
        await turns.wait()
        try:
            return await reading()
        finally:
            turns.leave()

    async def _deliver(self, head: Head, messages: list[Received]) -> None:
        """Hand over, and return once all is safe. Raises Unavailable; then what no lane has is not handed over."""
        if not self.open:
            raise Draining()
        waiting = self._waiting_bytes()
        if waiting and waiting + sum([each.size for each in messages]) > self._memory:
            raise Busy("records of other requests wait for room in the lanes", _FULL_RETRY_SECONDS)
        delivery = Delivery(head.request_id, self._route, self._handover)
        self._deliveries.add(delivery)
        try:
            await delivery.safe(messages, self._server.request_timeout)
        except TimeoutError:
            detail = "not every record is safe yet; those that are on their way may be delivered twice"
            raise Busy(detail, self._retry_after()) from None
        finally:
            delivery.halt()
            self._deliveries.discard(delivery)

    def _retry_after(self) -> float:
        """Seconds after which the lanes should have room; while nothing is known of them, a while."""
        if self._route is None:
            return _LATE_RETRY_SECONDS
        return max(leg.lane.retry_after() for leg in self._route.legs if leg.terms.required)

    def _waiting_bytes(self) -> int:
        return sum(flow.waiting_bytes for flow in self.flows)
