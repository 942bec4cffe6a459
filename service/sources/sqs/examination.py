"""What `penstock doctor` finds out about the queue of an sqs source."""

from collections.abc import AsyncIterator, Awaitable
from typing import Any

from service.aws.examination import Refused, clock, untried
from service.aws.queue import Queue
from service.aws.queue_examination import attributes_of, existence, fifo, key, redrive, retention
from service.finding import Finding, ok
from service.units import format_duration

_LEAST_RECEIPTS = 5
"""A rolling update of a few replicas may give the same message back so often."""


async def examined(
    client: Any, url: Awaitable[str], named: str, *, visibility: float, max_receives: int
) -> AsyncIterator[Finding]:
    """Existence, redrive policy, times and key of the queue."""
    what = f"queue {named!r}"
    try:
        attributes, answer = await attributes_of(client, url, what)
    except Refused as refused:
        for finding in refused.findings():
            yield finding
        return
    for finding in clock(answer, unless_ok=True):
        yield finding
    yield existence(attributes, what, client.meta.region_name)
    yield ok(
        "visibility",
        f"{format_duration(visibility)} by our setting, extended while a message is held; the queue's own, "
        f"{format_duration(float(attributes.get('VisibilityTimeout', 30)))}, is not used",
    )
    yield redrive(attributes, max_receives, max(_LEAST_RECEIPTS, max_receives + 1))
    for each in fifo(Queue.parse(named), attributes):
        yield each
    for each in retention(attributes):
        yield each
    yield key(attributes, "kms:Decrypt")
    yield untried("sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:ChangeMessageVisibility")
