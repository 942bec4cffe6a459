"""What a message of SQS may hold, its identity in a FIFO queue, and what a failed entry says of it."""

import hashlib
import re
from typing import Any

from service.aws.codes import reason_of
from service.codecs.tracecontext import PARENT, trace_headers
from service.event import Event
from service.outcome import Outcome, Reason, Rejected, Retry

_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
_CONTROLS = bytes(code for code in range(32) if code not in b"\t\n\r")
_GROUP = re.compile(r"[!-~]{1,128}")
"""MessageGroupId: letters, digits and ASCII punctuation."""
_STRING = "String"
_ABOUT_THE_MESSAGE = {
    "InvalidMessageContents": Reason.REFUSED_CONTENT,
    "MessageTooLong": Reason.TOO_LARGE,
    "InvalidParameterValue": Reason.REFUSED_CONTENT,
}
"""Codes of a single entry that no other attempt mends."""


def unfit(body: bytes, empty_is: bool) -> Rejected | None:
    """Why SQS cannot hold the body as text (SQS API reference, SendMessage: allowed characters), None if it can.

    `empty_is`: whether an empty body is unfit too.
    """
    try:
        text = body.decode()
    except UnicodeDecodeError as error:
        return Rejected(Reason.REFUSED_CONTENT, f"SQS holds text only: the body is not UTF-8 at byte {error.start}")
    if not text and empty_is:
        return Rejected(Reason.REFUSED_CONTENT, "SQS holds no empty message")
    if text.isascii() and len(body.translate(None, _CONTROLS)) == len(body):
        return None  # what the search below says too, in a fifth of its time
    if forbidden := _FORBIDDEN.search(text):
        code = ord(forbidden[0])
        return Rejected(Reason.REFUSED_CONTENT, f"SQS does not allow U+{code:04X}, at character {forbidden.start()}")
    return None


def identity(event: Event) -> dict[str, str]:
    """What a FIFO queue demands beside the body: the group, and what makes a repeated event one."""
    group = event.key or event.id
    return {
        "MessageGroupId": group if _GROUP.fullmatch(group) else _hashed(group),
        "MessageDeduplicationId": _hashed(f"{event.attributes.get('source', '')}\0{event.id}"),
    }


def attributes(event: Event, room: int) -> tuple[dict[str, Any], int]:
    """What tells a consumer, in message attributes, how the event came here; and their bytes, which count as those of
    the body do (SQS developer guide, message metadata). Nothing if they are more than `room`.
    """
    if event.origin.trace is None and PARENT not in event.attributes:
        return {}, 0
    told = trace_headers(event)
    size = sum(len(name) + len(_STRING) + len(value) for name, value in told.items())
    if not told or size > room:
        return {}, 0
    return {"MessageAttributes": {n: {"DataType": _STRING, "StringValue": value} for n, value in told.items()}}, size


def _hashed(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def failed(entry: dict[str, Any]) -> Outcome:
    """The outcome of an entry that is listed as failed."""
    code = str(entry.get("Code"))
    about_the_message = _ABOUT_THE_MESSAGE.get(code.removeprefix("AWS.SimpleQueueService."))
    if entry.get("SenderFault") and about_the_message is not None:
        return Rejected(about_the_message, f"SQS refused the message: {code}")
    return Retry(reason_of(code, 400 if entry.get("SenderFault") else 200), detail=code)
