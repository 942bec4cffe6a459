"""Records of ours taken apart: as many events as were packed, or ValueError, or what a compression documents."""

from typing import Final, get_args

from service.errors import IngestError
from service.sinks.packing import Compression, Form
from service.sinks.unpacking import MOST_BYTES, inflated, unpack

_FORMS: Final = get_args(Form)
_COMPRESSIONS: Final = get_args(Compression)


def run(data: bytes) -> None:
    """A byte for form, compression and base64, and a record."""
    first = data[0] if data else 0
    form = _FORMS[first % len(_FORMS)]
    compress = _COMPRESSIONS[(first >> 3) % len(_COMPRESSIONS)]
    try:
        record = inflated(data[1:], compress, bool(first & 128))
        assert len(record) <= MOST_BYTES
        found = unpack(record, form)
    except (ValueError, IngestError, RecursionError):
        return
    assert sum(map(len, found)) <= len(record)
    if form == "ndjson":
        assert b"".join(each + b"\n" for each in found) == record
