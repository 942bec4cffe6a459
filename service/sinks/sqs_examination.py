"""What `penstock doctor` finds out about the queue of an sqs sink."""

from collections.abc import AsyncIterator, Awaitable
from typing import Any

from service.aws.examination import Refused, clock, untried
from service.aws.queue import Queue
from service.aws.queue_examination import Attributes, attributes_of, existence, fifo, key, retention
from service.finding import Finding, ok, problem, warning
from service.units import format_size


async def examined(
    client: Any, url: Awaitable[str], named: str, *, message_bytes: int, ordered: bool
) -> AsyncIterator[Finding]:
    """Existence, message size, order and key of the queue."""
    what, queue = f"queue {named!r}", Queue.parse(named)
    try:
        attributes, answer = await attributes_of(client, url, what)
    except Refused as refused:
        for finding in refused.findings():
            yield finding
        return
    for finding in clock(answer, unless_ok=True):
        yield finding
    yield existence(attributes, what, client.meta.region_name)
    yield _size(attributes, message_bytes)
    if ordered and not queue.fifo:
        yield warning(
            "order",
            "`order: key` keeps it on the way, and a standard queue does not",
            "use a FIFO queue, or no `order`",
        )
    for finding in fifo(queue, attributes):
        yield finding
    for finding in retention(attributes):
        yield finding
    yield key(attributes, "kms:GenerateDataKey and kms:Decrypt")
    yield untried("sqs:SendMessage")


def _size(attributes: Attributes, ours: int) -> Finding:
    allowed = int(attributes.get("MaximumMessageSize", ours))
    if allowed < ours:
        return problem(
            "message size",
            f"the queue takes {format_size(allowed)}, and `max_message` is {format_size(ours)}",
            "lower `max_message`, or raise the queue's MaximumMessageSize: larger events would be refused for good",
        )
    return ok("message size", f"{format_size(ours)}; the queue takes {format_size(allowed)}")
