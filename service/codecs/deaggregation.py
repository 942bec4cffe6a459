"""Takes aggregated records of the Kinesis Producer Library apart, as every consumer of such a stream has to.

The format stands at `service.codecs.kpl`. A record that is not whole (another checksum, a field that ends too late) is
no aggregate, and is one record as it is, which is what AWS's own deaggregation does.
"""

from hashlib import md5

from service.codecs.kpl import MAGIC

_DIGEST_BYTES = 16
_RECORDS, _DATA = 3, 3
"""Numbers of the fields `records` of AggregatedRecord and `data` of Record."""
_MOST_VARINT = 10
"""Bytes of a number of 64 bits (Protocol Buffers documentation, Encoding); a longer one grows with every byte."""


def deaggregated(data: bytes) -> list[bytes]:
    """The data of the user records in a record of a stream; `[data]` if it is no aggregate."""
    message, digest = data[len(MAGIC) : -_DIGEST_BYTES], data[-_DIGEST_BYTES:]
    if not data.startswith(MAGIC) or md5(message, usedforsecurity=False).digest() != digest:
        return [data]
    try:
        return [_only(_fields(record, _DATA)) for record in _fields(message, _RECORDS)]
    except (IndexError, ValueError):
        return [data]


def _only(values: list[bytes]) -> bytes:
    return values[-1] if values else b""


def _fields(message: bytes, wanted: int) -> list[bytes]:
    """The values of one field of bytes. Raises ValueError or IndexError for what is no message."""
    found = []
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        match tag & 7:  # wire types (Protocol Buffers documentation, Encoding)
            case 0:
                _, at = _varint(message, at)
            case 1:
                at += 8
            case 2:
                length, at = _varint(message, at)
                value, at = message[at : at + length], at + length
                if tag >> 3 == wanted:
                    found.append(value)
            case 5:
                at += 4
            case kind:
                raise ValueError(f"wire type {kind}")
    if at != len(message):
        raise ValueError("the last field ends beyond the message")
    return found


def _varint(message: bytes, at: int) -> tuple[int, int]:
    number = 0
    for shift in range(0, 7 * _MOST_VARINT, 7):
        byte = message[at]
        number |= (byte & 127) << shift
        at += 1
        if byte < 128:
            return number, at
    raise ValueError("a number of more than 64 bits")
