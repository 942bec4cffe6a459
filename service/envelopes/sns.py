"""Amazon SNS notifications, as they come through SQS queues that are subscribed without raw message delivery."""

import binascii
from base64 import b64decode
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import Field, field_validator

from service import plugins
from service.codecs.draft import Caps, Draft, Refusal
from service.envelopes.contract import Codec, CodecConfig, Found, Message, Skip
from service.envelopes.document import JSON, document, object_at, refused, text_at
from service.envelopes.identity import identified

_TYPE = "com.amazonaws.sns.Notification"
_CONFIRMATIONS = frozenset({"SubscriptionConfirmation", "UnsubscribeConfirmation"})


class Sns:
    """The event is the message that was published, which the codec that `inner` names reads; its message attributes are
    the headers. Documented: Amazon SNS Developer Guide, "Amazon SNS message and JSON formats"; CloudEvents adapter for
    AWS SNS.

    Identity: what the inner codec finds; else `MessageId`, which a redelivery keeps; with a slash and its index where
    the published message holds several events. Then also source: `TopicArn` (the adapter's subscription ARN is in no
    message of a queue); type: `com.amazonaws.sns.Notification`; subject and time: `Subject` and `Timestamp`.
    Key and `data`: the inner codec's. Delivered is the published message; refused is the whole notification.
    Deletes: the inner codec's. Control records: confirmations of a subscription or of its end are refused, for somebody
    must act on them.
    """

    class Config(CodecConfig):
        """`codec: sns`."""

        inner: str = Field(
            default="json", description="The codec of what is published to the topic, such as `s3_notification`."
        )

        @field_validator("inner")
        @classmethod
        def _known(cls, name: str) -> str:
            plugins.load("envelopes", name)
            return name

    def __init__(self, config: Config, caps: Caps) -> None:
        self._caps = caps
        inner = plugins.load("envelopes", config.inner)
        self._inner: Codec = inner(inner.Config(type=config.inner), caps)

    def decode(self, message: Message) -> Iterable[Found]:
        """The events in the notification that `message` is."""
        found = document(message, self._caps)
        if isinstance(found, Refusal):
            return (found,)
        envelope = found.data
        kind, text = text_at(envelope, "Type"), envelope.get("Message")
        if kind in _CONFIRMATIONS:
            detail = f"{kind} of Amazon SNS, and no notification: visit its SubscribeURL to confirm, or ignore it"
            return (refused(found.body, detail, text_at(envelope, "MessageId") or None),)
        if kind != "Notification" or not isinstance(text, str):
            detail = "no notification of Amazon SNS: with raw message delivery, name the codec of what is published"
            return (refused(found.body, detail),)
        inner = Message(text.encode(), _headers(object_at(envelope, "MessageAttributes")), message.key)
        drafts = list(self._inner.decode(inner))
        many = len(drafts) > 1
        return [_named(each, envelope, message, f"/{index}" if many else "") for index, each in enumerate(drafts)]


def _named(found: Found, envelope: dict[str, Any], message: Message, ending: str) -> Found:
    """What was found in the published message, with the notification's identity if it has none of its own."""
    if isinstance(found, Skip):
        return found
    if isinstance(found, Refusal):
        error = found.error
        told = type(error)(error.code, f"the published message: {error.detail}", **error.members)
        return Refusal(message.value, JSON, told, found.id)
    id_, topic = text_at(envelope, "MessageId"), text_at(envelope, "TopicArn")
    if found.attributes or not (id_ and topic):
        return found
    named = identified(
        found,
        id=id_ + ending,
        source=topic,
        type=_TYPE,
        subject=text_at(envelope, "Subject"),
        time=text_at(envelope, "Timestamp"),
    )
    return named if isinstance(named, Draft) else Refusal(message.value, JSON, named.error, named.id)


def _headers(attributes: dict[str, Any]) -> Mapping[str, bytes]:
    """Message attributes by lower-cased name: their text in UTF-8, or the bytes of a Binary one."""
    headers = {}
    for name, attribute in attributes.items():
        if isinstance(attribute, dict) and isinstance(value := attribute.get("Value"), str):
            headers[name.lower()] = _binary(value) if attribute.get("Type") == "Binary" else value.encode()
    return headers


def _binary(value: str) -> bytes:
    try:
        return b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        return value.encode()
