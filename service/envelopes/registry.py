"""The headers that serializers of schema registries put before a value, so that one can be named when it is met.

No registry is configured: what has such a header cannot be read, whatever follows it.
Sources: Confluent's "Formats, Serializers, and Deserializers for Schema Registry" (wire format: a byte 0x00 and a
schema id in 4 bytes, or 0x01 and a schema's GUID in 16; the latter also as a header of the message); AWS Glue Schema
Registry serializer library (a byte 0x03, one for the compression, the schema version's UUID in 16).
"""

from collections.abc import Mapping
from uuid import UUID

SCHEMA_ID_HEADER = "__value_schema_id"
"""Message header in which Confluent's serializers may put what else stands before the value."""

_ID_BYTES = 4
_UUID_BYTES = 16
_COMPRESSIONS = {0: "uncompressed", 5: "compressed with zlib"}


def header(value: bytes, headers: Mapping[str, bytes]) -> str | None:
    """What stands before `value`, or in the `headers` beside it, in words that name the schema; None if nothing does.

    In the headers it is looked for last: a value whose schema is named there may be plain JSON.
    """
    return _in_value(value) or _in_headers(headers.get(SCHEMA_ID_HEADER, b""))


def _in_value(value: bytes) -> str | None:
    match value[:1]:
        case b"\x00" if len(value) > _ID_BYTES:
            return f"begins with a Confluent Schema Registry header (schema id {_number(value)})"
        case b"\x01" if len(value) > _UUID_BYTES:
            return f"begins with a Confluent Schema Registry header (schema GUID {_uuid(value, 1)})"
        case b"\x03" if len(value) > 1 + _UUID_BYTES:
            compression = _COMPRESSIONS.get(value[1], f"with compression 0x{value[1]:02x}")
            return f"begins with an AWS Glue Schema Registry header (schema version {_uuid(value, 2)}, {compression})"
        case _:
            return None


def _in_headers(value: bytes) -> str | None:
    match value[:1], len(value):
        case b"\x00", 5:
            return f"is of a Confluent Schema Registry (message header {SCHEMA_ID_HEADER}: schema id {_number(value)})"
        case b"\x01", 17:
            guid = _uuid(value, 1)
            return f"is of a Confluent Schema Registry (message header {SCHEMA_ID_HEADER}: schema GUID {guid})"
        case _:
            return None


def _number(value: bytes) -> int:
    return int.from_bytes(value[1 : 1 + _ID_BYTES], "big")


def _uuid(value: bytes, start: int) -> UUID:
    return UUID(bytes=value[start : start + _UUID_BYTES])
