"""Amazon S3 event notifications, as they come through SQS, SNS (with `inner: s3_notification`) or EventBridge's bus."""

from collections.abc import Iterable
from functools import partial
from typing import Any
from urllib.parse import unquote_to_bytes

from service.codecs.body import plain
from service.codecs.draft import Caps, Draft, Refusal
from service.envelopes.contract import CodecConfig, Found, Message, Skip, SkipReason
from service.envelopes.document import document, object_at, refused, text_at
from service.envelopes.identity import dotted, identified, joined
from service.envelopes.records import records

_TEST = "s3:TestEvent"


class S3Notification:
    """As many events per message as it has `Records`, each with its own bytes. Documented: Amazon S3 User Guide, "Event
    message structure"; the attributes as the CloudEvents adapter for AWS S3 has them, but for the identity.

    Identity: `bucket/key/versionId/sequencer/eventName`, and for the events to which S3 gives no sequencer the
    request's two ids and the event's time in its place. (The adapter's, which is of the request alone, is the same for
    all objects that one request deletes.) Source: event source, region and bucket by dots, such as
    `aws:s3.us-west-2.mybucket`. Type: `com.amazonaws.s3.` and the event's name, such as `ObjectCreated:Put`.
    Subject: the object's key, decoded (S3 form-URL-encodes it; the record is left as it is). Time: `eventTime`.
    Key: `bucket/key`, decoded, as S3 orders the events of one object by their sequencer. `data`: the record.
    Deletes: events of type `com.amazonaws.s3.ObjectRemoved:...`. Control records: the test that S3 sends when
    notifications are set up (`s3:TestEvent`) is passed over.
    """

    class Config(CodecConfig):
        """`codec: s3_notification`."""

    def __init__(self, config: Config, caps: Caps) -> None:
        self._caps = caps

    def decode(self, message: Message) -> Iterable[Found]:
        """The events in `message`."""
        found = records(message.value, partial(_record, self._caps), self._caps)
        if found is not None:
            return found
        one = document(message, self._caps)
        if isinstance(one, Refusal):
            return (one,)
        if one.data.get("Event") == _TEST:
            return (Skip(SkipReason.TEST),)
        return (refused(one.body, "no notification of Amazon S3: it has no `Records`"),)


def _record(caps: Caps, body: bytes) -> Draft | Refusal:
    found = plain(caps, body)
    return _event(found) if isinstance(found, Draft) else found


def _event(draft: Draft) -> Draft | Refusal:
    record: dict[str, Any] = draft.data
    s3 = object_at(record, "s3")
    stored = object_at(s3, "object")
    bucket, key, name = text_at(object_at(s3, "bucket"), "name"), text_at(stored, "key"), text_at(record, "eventName")
    source = text_at(record, "eventSource")
    if not (bucket and key and name and source):
        what = "eventSource, eventName, s3/bucket/name and s3/object/key"
        return refused(draft.body, f"no record of an Amazon S3 notification: it must have {what}")
    decoded = _decoded(key)
    draft.key = f"{bucket}/{decoded}"
    order = text_at(stored, "sequencer") or _request(record)
    if not order:
        return draft
    return identified(
        draft,
        id=joined(bucket, key, text_at(stored, "versionId"), order, name),
        source=dotted(source, text_at(record, "awsRegion"), bucket),
        type=f"com.amazonaws.s3.{name}",
        subject=decoded,
        time=text_at(record, "eventTime"),
    )


def _request(record: dict[str, Any]) -> str:
    """What tells an event without a sequencer from others of its object: the request that caused it, and its time."""
    response = object_at(record, "responseElements")
    parts = (text_at(response, "x-amz-request-id"), text_at(response, "x-amz-id-2"), text_at(record, "eventTime"))
    return ".".join(filter(None, parts))


def _decoded(key: str) -> str:
    """The object's key; as it stands if what it encodes is not UTF-8."""
    try:
        return unquote_to_bytes(key.replace("+", " ")).decode()
    except UnicodeError:
        return key
