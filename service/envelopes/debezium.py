"""Debezium: changes of a database's rows and documents, as its connectors write them through the JSON converter."""

from collections.abc import Iterable
from hashlib import sha256
from typing import Any

from msgspec import MsgspecError, Raw, Struct
from msgspec.json import Decoder

from service.codecs.draft import Caps, Draft, Refusal
from service.envelopes.contract import CodecConfig, Found, Message
from service.envelopes.document import CONTROL, TOMBSTONE, document, object_at, refused, text_at
from service.envelopes.identity import canonical, identified, path
from service.envelopes.timestamp import MILLISECONDS, rfc3339

_OPERATIONS = frozenset({"c", "r", "u", "d", "t", "m"})
_PASSING = ("version", "snapshot", "sequence", "xmin")
"""Of `source`, what may differ when a connector writes the same change again."""
_ID_DIGITS = 32


class Debezium:
    """One change per message, with `schema` and `payload` or without. Documented: Debezium reference documentation, the
    connectors' "Data change events" and "Transaction metadata"; the attributes as "Exporting CloudEvents" has them.

    Identity: 32 hexadecimal digits of the SHA-256 of operation, key, `source` (but for its version, snapshot, sequence
    and xmin), `transaction`, before and after, for one position in a database's log may be that of several rows. A
    change without a key or `transaction` is only identified if it is of a whole table: the rows of a table without a
    primary key are not told apart by it. Without an identity there are no attributes.
    Source: `/debezium/CONNECTOR/NAME`. Type: `io.debezium.connector.CONNECTOR.DataChangeEvent`. What happened is
    attribute `iodebeziumop`: c (created), r (read for a snapshot), u (updated), d (deleted), t (truncated), m (message
    in the log); where, `iodebeziumdb`, `iodebeziumschema` and `iodebeziumtable`. Time: `source.ts_ms`.
    Key: the message's, of a JSON key with a schema its payload alone. `data`: the payload, with before, after, source.
    Deletes: events with `iodebeziumop` d; the tombstone that follows one is passed over. Truncations are events too.
    Control records: heartbeats, transactions' begins and ends, and changes of the schema are passed over.
    What the event flattening transformation writes has no `op` and is refused: its codec is `json`.
    """

    class Config(CodecConfig):
        """`codec: debezium`."""

    def __init__(self, config: Config, caps: Caps) -> None:
        self._caps = caps

    def decode(self, message: Message) -> Iterable[Found]:
        """The change in `message`."""
        if message.tombstone:
            return TOMBSTONE
        found = document(message, self._caps)
        if isinstance(found, Refusal):
            return (found,)
        payload = _payload(found.data)
        if payload is None:
            return TOMBSTONE
        if not isinstance(payload, dict):
            return (refused(found.body, "no Debezium message: `payload` must be an object"),)
        if "op" not in payload:
            return CONTROL if _is_control(payload) else (refused(found.body, _NO_CHANGE),)
        return (_change(found, payload, message.key),)


_NO_CHANGE = "no Debezium change event: it has no `op`; name the codec `json` if it was flattened"


def _payload(envelope: dict[str, Any]) -> Any:
    """What the message says; None where the converter wrote the null of a tombstone together with its schema."""
    if "payload" in envelope and "op" not in envelope:
        return envelope["payload"]
    return envelope


def _is_control(payload: dict[str, Any]) -> bool:
    """A heartbeat, the begin or end of a transaction, or a change of the schema."""
    if payload.keys() == {"ts_ms"}:
        return True
    if payload.get("status") in ("BEGIN", "END") and "id" in payload:
        return True
    return "ddl" in payload or "tableChanges" in payload


def _change(draft: Draft, payload: dict[str, Any], key: str | None) -> Draft | Refusal:
    operation, source = text_at(payload, "op"), object_at(payload, "source")
    connector = text_at(source, "connector")
    if operation not in _OPERATIONS or not connector:
        what = "`op` must be one of c, r, u, d, t and m, and `source` name its connector"
        return refused(draft.body, f"no Debezium change event: {what}")
    draft.data = payload
    draft.key = key = _key(key)
    transaction = _scalars(object_at(payload, "transaction"))
    images = (payload.get("before"), payload.get("after"), payload.get("message"))
    known = canonical([operation, key, _scalars(source), transaction, images])
    if known is None or (key is None and not transaction and operation != "t"):
        return draft
    return identified(
        draft,
        id=sha256(known.encode()).hexdigest()[:_ID_DIGITS],
        source=path("debezium", connector, text_at(source, "name")),
        type=f"io.debezium.connector.{connector}.DataChangeEvent",
        time=rfc3339(source.get("ts_ms"), MILLISECONDS),
        iodebeziumop=operation,
        iodebeziumdb=text_at(source, "db"),
        iodebeziumschema=text_at(source, "schema"),
        iodebeziumtable=text_at(source, "table"),
    )


def _scalars(members: dict[str, Any]) -> dict[str, Any]:
    return {
        name: value for name, value in members.items() if name not in _PASSING and not isinstance(value, dict | list)
    }


class _Key(Struct, forbid_unknown_fields=True, gc=False):
    schema: Raw
    payload: Raw


_decode = Decoder(_Key).decode


def _key(key: str | None) -> str | None:
    """The key as it came, without the schema that a JSON converter writes beside it; None for a null."""
    if key is None or not key.startswith("{"):
        return key
    try:
        payload = bytes(_decode(key).payload).decode()
    except (MsgspecError, RecursionError, UnicodeError):
        return key
    return None if payload == "null" else payload
