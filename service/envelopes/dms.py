"""AWS Database Migration Service: rows, and changes of rows, as it writes them to Kafka and Kinesis in JSON."""

from collections.abc import Iterable
from typing import Any

from service.codecs.draft import Caps, Draft, Refusal
from service.envelopes.contract import CodecConfig, Found, Message
from service.envelopes.document import CONTROL, document, object_at, refused, text_at
from service.envelopes.identity import identified, joined, path

_OPERATIONS = frozenset({"load", "insert", "update", "delete"})


class Dms:
    """One row, or change of a row, per message. Documented: AWS DMS User Guide, "Using Apache Kafka as a target" and
    "Using Amazon Kinesis Data Streams as a target": message format, before image, object mapping.

    Identity: `transaction-id/transaction-record-id/commit-timestamp/operation`, which a task writes with
    `IncludeTransactionDetails`; records of a full load, and of tasks without it, have none, and so no attributes.
    Source: `/dms/SCHEMA/TABLE`. Type: `dms.` and the operation: load, insert, update, delete. Time: the
    commit's, else when DMS made the message. Key: of partition key type `primary-key` schema, table and primary key by
    dots; else the partition key, of which the message's stands in for one that the task does not include.
    `data`: the row, which is member `data`. A before image stands beside it, and is delivered with the whole message.
    Deletes: events of type `dms.delete`, with the row, or its primary key, as it was.
    Control records (`record-type: control`: tables and columns created, changed, dropped): passed over.
    The flat form, which is the row alone, is taken too, whole as `data`; it says no more than its columns.
    """

    class Config(CodecConfig):
        """`codec: dms`."""

    def __init__(self, config: Config, caps: Caps) -> None:
        self._caps = caps

    def decode(self, message: Message) -> Iterable[Found]:
        """The row in `message`."""
        found = document(message, self._caps)
        if isinstance(found, Refusal):
            return (found,)
        envelope = found.data
        if "metadata" in envelope:
            return _enveloped(found, envelope, message)
        if envelope.get("RecordType") == "control":
            return CONTROL
        if isinstance(envelope.get("data"), dict) and len(envelope) == 1:
            found.data = envelope["data"]
        return (found,)


def _enveloped(draft: Draft, envelope: dict[str, Any], message: Message) -> tuple[Found]:
    metadata = object_at(envelope, "metadata")
    kind, operation = text_at(metadata, "record-type"), text_at(metadata, "operation")
    if kind == "control":
        return CONTROL
    if kind != "data":
        return (refused(draft.body, "no AWS DMS record: metadata/record-type must be `data` or `control`"),)
    if operation not in _OPERATIONS:
        return (refused(draft.body, "no AWS DMS record: metadata/operation must be load, insert, update or delete"),)
    if not isinstance(envelope.get("data"), dict):
        return (refused(draft.body, "no AWS DMS record: `data` must be an object, the row"),)
    draft.data = envelope["data"]
    draft.key = _key(metadata, message.key)
    transaction, record = text_at(metadata, "transaction-id"), text_at(metadata, "transaction-record-id")
    if not (transaction and record):
        return (draft,)
    committed = text_at(metadata, "commit-timestamp")
    return (
        identified(
            draft,
            id=joined(transaction, record, committed, operation),
            source=path("dms", *_table(metadata)),
            type=f"dms.{operation}",
            time=committed or text_at(metadata, "timestamp"),
        ),
    )


def _table(metadata: dict[str, Any]) -> tuple[str, str]:
    return text_at(metadata, "schema-name"), text_at(metadata, "table-name")


def _key(metadata: dict[str, Any], key: str | None) -> str | None:
    """The partition key; of a primary key, which another table may have too, with the table's name before it."""
    value = text_at(metadata, "partition-key-value") or key
    if not value or metadata.get("partition-key-type") != "primary-key":
        return value
    table = ".".join(_table(metadata)) + "."
    return value if value.startswith(table) else table + value
