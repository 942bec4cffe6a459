"""Changes of Amazon DynamoDB's items, as they come out of Kinesis Data Streams for DynamoDB and DynamoDB Streams."""

from collections.abc import Iterable
from functools import partial
from typing import Any

from service.codecs.body import plain
from service.codecs.draft import Caps, Draft, Refusal
from service.envelopes.contract import CodecConfig, Found, Message
from service.envelopes.document import document, object_at, refused, text_at
from service.envelopes.identity import canonical, dotted, identified
from service.envelopes.records import records
from service.envelopes.timestamp import MICROSECONDS, MILLISECONDS, likely_unit, rfc3339

_NAMES = frozenset({"INSERT", "MODIFY", "REMOVE"})
_UNITS = {"MILLISECOND": MILLISECONDS, "MICROSECOND": MICROSECONDS}


class DynamoDb:
    """One change of an item per message, or an array `Records` of them. Documented: DynamoDB API Reference, Record and
    StreamRecord; DynamoDB Developer Guide, "Using Kinesis Data Streams to capture changes to DynamoDB".

    Identity: `eventID`. Source: event source, region and table by dots, such as `aws:dynamodb.us-east-1.music`. Type:
    `dynamodb.` and the event's name: INSERT, MODIFY, REMOVE. Time: `ApproximateCreationDateTime`, in the unit that
    `ApproximateCreationDateTimePrecision` says; without it in seconds, milliseconds or microseconds, whichever makes it
    a time between 1973 and 5138. Key: `Keys` as JSON without blanks, its members sorted. `data`: the whole record.
    Deletes: events of type `dynamodb.REMOVE`; those by time to live have a `userIdentity`, as DynamoDB sends it.
    Control records: there are none.
    """

    class Config(CodecConfig):
        """`codec: dynamodb`."""

    def __init__(self, config: Config, caps: Caps) -> None:
        self._caps = caps

    def decode(self, message: Message) -> Iterable[Found]:
        """The changes in `message`."""
        found = records(message.value, partial(self._record, message.key), self._caps)
        if found is not None:
            return found
        one = document(message, self._caps)
        return (_change(one, message.key) if isinstance(one, Draft) else one,)

    def _record(self, key: str | None, body: bytes) -> Draft | Refusal:
        found = plain(self._caps, body)
        return _change(found, key) if isinstance(found, Draft) else found


def _change(draft: Draft, key: str | None) -> Draft | Refusal:
    record: dict[str, Any] = draft.data
    id_, name, change = text_at(record, "eventID"), text_at(record, "eventName"), object_at(record, "dynamodb")
    if not (id_ and name in _NAMES and change):
        what = "eventID, an eventName of INSERT, MODIFY or REMOVE, and an object `dynamodb`"
        return refused(draft.body, f"no record of a DynamoDB stream: it must have {what}")
    keys = object_at(change, "Keys")
    draft.key = (canonical(keys) if keys else None) or key
    when = change.get("ApproximateCreationDateTime")
    unit = _UNITS.get(text_at(change, "ApproximateCreationDateTimePrecision")) or likely_unit(when)
    return identified(
        draft,
        id=id_,
        source=dotted(text_at(record, "eventSource") or "aws:dynamodb", text_at(record, "awsRegion"), _table(record)),
        type=f"dynamodb.{name}",
        time=rfc3339(when, unit),
    )


def _table(record: dict[str, Any]) -> str:
    """The table's name; DynamoDB Streams has it in the ARN of the stream: `...:table/NAME/stream/LABEL`."""
    return text_at(record, "tableName") or text_at(record, "eventSourceARN").partition("table/")[2].partition("/")[0]
