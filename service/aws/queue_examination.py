"""What `penstock doctor` finds out about an SQS queue, for whoever sends to it or receives (SQS API reference,
GetQueueAttributes).
"""

import json
from collections.abc import Awaitable, Iterator, Mapping
from typing import Any

from service.aws.examination import asked, encryption
from service.aws.queue import Queue
from service.finding import Finding, note, ok, warning
from service.units import format_duration

Attributes = Mapping[str, str]


async def attributes_of(client: Any, url: Awaitable[str], what: str) -> tuple[Attributes, Mapping[str, Any]]:
    """All attributes of the queue, and the answer they came in. Raises Refused."""
    region = client.meta.region_name
    found = await asked(_found(url), "queue", what, "sqs:GetQueueUrl", region)
    call = client.get_queue_attributes(QueueUrl=found["url"], AttributeNames=["All"])
    answer = await asked(call, "queue", what, "sqs:GetQueueAttributes", region)
    return answer.get("Attributes", {}), answer


async def _found(url: Awaitable[str]) -> Mapping[str, Any]:
    return {"url": await url}


def existence(attributes: Attributes, what: str, region: str) -> Finding:
    """That it is there, and how full it is."""
    waiting, hidden = (
        attributes.get(f"ApproximateNumberOfMessages{each}", "an unknown number of") for each in ("", "NotVisible")
    )
    return ok("queue", f"{what} in {region}: {waiting} messages wait, {hidden} are being worked on")


def fifo(queue: Queue, attributes: Attributes) -> Iterator[Finding]:
    """Of a FIFO queue, what its settings do to those that use it."""
    if not queue.fifo:
        return
    fast = (attributes.get("DeduplicationScope"), attributes.get("FifoThroughputLimit")) == (
        "messageGroup",
        "perMessageGroupId",
    )
    if fast:
        yield ok("throughput", "high, with its bound per message group")
    else:
        yield note(
            "throughput",
            "300 calls a second for the whole queue",
            "if that is little: DeduplicationScope messageGroup and FifoThroughputLimit perMessageGroupId",
        )
    if attributes.get("ContentBasedDeduplication") == "true":
        yield note(
            "deduplication",
            "content-based; what Penstock sends has an id of its own, which wins",
            "other senders need none; nothing is to be done here",
        )
    else:
        yield ok("deduplication", "by the ids that are sent")


def key(attributes: Attributes, actions: str) -> Finding:
    """The key that its messages are encrypted with."""
    if attributes.get("SqsManagedSseEnabled") == "true":
        return ok("encryption", "at rest, with a key of SQS")
    return encryption(attributes.get("KmsMasterKeyId"), actions)


def redrive(attributes: Attributes, ours: int, least: int) -> Finding:
    """After how many receipts SQS itself takes a message away; fewer than `least` take what is only delayed.

    `ours`: after how many we do; 0 for never.
    """
    policy = json.loads(attributes.get("RedrivePolicy") or "{}")
    most = int(policy.get("maxReceiveCount", 0))
    if not most and ours:
        return ok("redrive", f"none; after {ours} receipts a message goes to our dead letters")
    if not most:
        told = "none, nor `max_receives`: a message that ends the service comes again until it is too old"
        return note("redrive", told, "set `max_receives`, such as 10, or give the queue a redrive policy")
    target = str(policy.get("deadLetterTargetArn", "")).rpartition(":")[2]
    if most < least:
        return warning(
            "redrive",
            f"to {target} after {most} receipts",
            f"allow at least {least}: each restart that gives a message back counts as one",
        )
    return ok("redrive", f"to {target} after {most} receipts")


def retention(attributes: Attributes) -> Iterator[Finding]:
    """How long it keeps messages, if that is short."""
    seconds = int(attributes.get("MessageRetentionPeriod", 345_600))
    if seconds < 3600:
        yield warning(
            "retention",
            f"messages are gone after {format_duration(seconds)}",
            "raise MessageRetentionPeriod: a consumer that is away for longer loses them",
        )
