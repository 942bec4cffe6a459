"""Taking records apart again: the events of what `packing` made, as any consumer has to."""

from base64 import b64decode
from typing import assert_never

import msgspec

from service.codecs.compression import inflater
from service.sinks.packing import PREFIX_BYTES, Compression, Form

MOST_BYTES = 64 * 2**20
"""No record of ours holds more than the largest call of any destination; this is well above."""


def inflated(record: bytes, compress: Compression, base64: bool = False) -> bytes:
    """The record before it was compressed, and before that turned into text.

    Raises Unreadable if it is neither, TooLarge above MOST_BYTES, ValueError if it is not base64.
    """
    if base64:
        record = b64decode(record, validate=True)
    if compress == "none":
        return record
    opened = inflater(compress, MOST_BYTES)
    assert opened is not None
    data = opened.feed(record)
    opened.finish()
    return data


def unpack(data: bytes, form: Form) -> list[bytes]:
    """The events of one record or, but for a JSON array, of many that were put one after the other.

    With `none` nobody knows where one of many ends, nor whether the newline at its end was the event's. Raises
    ValueError for what is not of this form.
    """
    match form:
        case "ndjson":
            if data and not data.endswith(b"\n"):
                raise ValueError("the last line has no end: the record is cut off")
            return data.split(b"\n")[:-1]
        case "json_array":
            return [bytes(each) for each in msgspec.json.decode(data, type=list[msgspec.Raw])]
        case "length_prefixed":
            return _prefixed(data)
        case "none":
            return [data]
        case _:
            assert_never(form)


def _prefixed(data: bytes) -> list[bytes]:
    events = []
    start = 0
    while start < len(data):
        begin = start + PREFIX_BYTES
        end = begin + int.from_bytes(data[start:begin], "big")
        if end > len(data):
            raise ValueError(f"the event at byte {start} ends at byte {end}, the record at {len(data)}")
        events.append(data[begin:end])
        start = end
    return events
