"""What an SQS queue hands out, as an envelope codec reads it."""

from base64 import b64decode
from typing import Final, TypedDict

from service.codecs.tracecontext import XRAY
from service.envelopes.contract import Message
from service.errors import Code, Unavailable
from service.outcome import Reason
from service.receiving.received import Received

PER_MESSAGE_BYTES: Final = 2048
"""What a message takes of memory beside its body: its receipt handle, and our own objects."""
PER_ATTRIBUTE_BYTES: Final = 160
_BINARY_MODE: Final = "ce-"
_NO_HEADERS: Final[dict[str, bytes]] = {}


class Attribute(TypedDict, total=False):
    """The value of a message attribute."""

    DataType: str
    StringValue: str | None
    BinaryValue: str | None


class SystemAttributes(TypedDict, total=False):
    """Those that are asked for."""

    ApproximateReceiveCount: str
    MessageGroupId: str
    AWSTraceHeader: str


class SqsMessage(TypedDict, total=False):
    """A message of ReceiveMessage."""

    MessageId: str
    ReceiptHandle: str
    Body: str
    Attributes: SystemAttributes
    MessageAttributes: dict[str, Attribute]


def receives(message: SqsMessage) -> int:
    """How often it was handed out, this time among it."""
    count = message.get("Attributes", {}).get("ApproximateReceiveCount", "1")
    return int(count) if count.isdecimal() else 1


def received(message: SqsMessage, *, fifo: bool, max_receives: int) -> Received:
    """The message as flows take it. Given up if it was handed out more than `max_receives` times; 0: never."""
    body = (message.get("Body") or "").encode(errors="surrogatepass")
    headers = _headers(message.get("MessageAttributes") or {})
    if (xray := message.get("Attributes", {}).get("AWSTraceHeader")) is not None:
        headers = {**headers, XRAY: xray.encode(errors="replace")}
    size = PER_MESSAGE_BYTES + len(body)
    if headers:
        size += sum(map(len, headers.values())) + PER_ATTRIBUTE_BYTES * len(headers)
    key = message.get("Attributes", {}).get("MessageGroupId") if fifo else None
    found = Message(body, headers, key)
    if max_receives and (count := receives(message)) > max_receives:
        detail = f"received {count} times and not delivered; max_receives is {max_receives}"
        error = Unavailable(Code.NOT_DELIVERED, detail, 0.0)
        return Received(found, message["MessageId"], size, error, Reason.RECEIVED_TOO_OFTEN)
    return Received(found, message["MessageId"], size)


def _headers(attributes: dict[str, Attribute]) -> dict[str, bytes]:
    """Message attributes as headers. CloudEvents' own, `ce-id` as HTTP has them or `ce_id` as Kafka, become `ce_id`."""
    if not attributes:
        return _NO_HEADERS
    found: dict[str, bytes] = {}
    for given, attribute in attributes.items():
        name = given.lower()
        if name.startswith(_BINARY_MODE):
            name = f"ce_{name[len(_BINARY_MODE) :]}"
        text, binary = attribute.get("StringValue"), attribute.get("BinaryValue")
        if text is not None:
            found[name] = text.encode(errors="surrogatepass")
        elif binary is not None:
            found[name] = b64decode(binary)
    return found
