"""Retry-After: how long a producer is told to wait, from the lanes that a retry would go to."""

import asyncio
import json

from service.outcome import Reason
from tests.http.client import SECONDS
from tests.http.running import running

CONFIGURATION = """
server: {memory: 32MiB, request_timeout: 3s, drain_timeout: 1s}
sinks:
  main: {type: "tests.http.scripted:Scripted", patience: 900ms, call_timeout: 400ms}
  other: {type: "tests.http.scripted:Scripted", patience: 900ms, call_timeout: 400ms}
routes:
  orders: {types: [com.example.order], to: [main]}
  returns: {types: [com.example.return], to: [other]}
"""


def cloudevent(type: str) -> dict[str, str]:
    """A CloudEvent without data."""
    return {"specversion": "1.0", "id": "1", "source": "/shop", "type": type}


async def test_a_lane_that_refuses_for_good_does_not_count() -> None:
    both = json.dumps([cloudevent("com.example.order"), cloudevent("com.example.return")]).encode()
    async with running(CONFIGURATION) as service, asyncio.timeout(SECONDS):
        # main has delivered lately and holds nothing: a second. Of other nothing is known: five at least.
        assert (await service.post("/v1/orders", b"{}")).status == 200
        service.sinks["main"].retry(Reason.THROTTLED)
        service.sinks["other"].reject()
        answer = await service.post("/v1/events", both, content_type="application/cloudevents-batch+json")
        assert [result["status"] for result in answer.results] == ["failed", "rejected"]
        assert answer.headers["retry-after"] == "1"
