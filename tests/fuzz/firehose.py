"""Requests of Firehose's HTTP endpoint delivery: each record is a message or refused with its bytes; none is lost."""

import asyncio
import json
from typing import Any, Final

from service.errors import IngestError
from service.http.room import Hold
from service.http.turns import Pieces
from service.sources.firehose.head import Head
from service.sources.firehose.records import read
from tests.fuzz.cutting import as_headers, head_and_body

MOST_RECORDS: Final = 50


class _Room:
    """Memory without end, of which the most that was wanted is known."""

    wanted = 0

    def demand(self, size: int) -> None:
        self.wanted = max(self.wanted, size)


def run(data: bytes) -> None:
    """Headers, an empty line, a body. What the protocol demands in headers is there where they do not say otherwise."""
    pairs, body = head_and_body(data)
    demanded = {
        "x-amz-firehose-protocol-version": "1.0",
        "x-amz-firehose-request-id": "r",
        "content-type": "application/json",
    }
    try:
        head = Head.of({**demanded, **as_headers(pairs)})
    except IngestError as error:
        assert error.status in (400, 415)
        return
    assert len(head.headers) <= 51
    room: Any = _Room()
    hold: Hold = room
    try:
        found = asyncio.run(read(head.request_id, body, head.headers, MOST_RECORDS, hold, Pieces()))
    except IngestError as error:
        assert error.status == 400
        assert 0 < len(error.detail) < 1000
        return
    # what is no UTF-8 is passed over where nobody reads it
    records = json.loads(body.decode("utf-8", "replace"))["records"]
    assert len(found) == len(records)
    assert room.wanted >= sum(len(each.message.value) for each in found)
    for each, record in zip(found, records, strict=True):
        if each.refusal is not None:
            assert each.message.value in body
        else:
            assert len(each.message.value) <= len(record["data"])
