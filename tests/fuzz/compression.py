"""Compressed bodies: never more than the cap and one piece; the same however they come; and what gzip itself says."""

import gzip
import zlib
from typing import Final

from service.codecs.compression import PIECE_BYTES, inflater
from service.errors import IngestError
from tests.fuzz.cutting import pieces

CAP: Final = 64 * 1024


def run(data: bytes) -> None:
    """A byte of which the last bit is the coding, and the rest how many bytes come at once; then the body."""
    first = data[0] if data else 0
    encoding = "zstd" if first & 1 else "gzip"
    whole = _inflated(encoding, data[1:], len(data) or 1)
    if first > 1:
        # of two flaws, either may be met first
        assert _is_same(_inflated(encoding, data[1:], first >> 1), whole)
    if encoding == "gzip" and isinstance(whole, bytes):
        assert whole == gzip.decompress(data[1:])
    elif encoding == "gzip" and whole == "invalid_encoding":
        try:
            gzip.decompress(data[1:])
        except (EOFError, zlib.error, gzip.BadGzipFile):
            return
        # the library passes over zeros behind a member (gzip(1)); a body has none
        assert data[1:].rstrip(b"\0") != data[1:]


def _is_same(one: bytes | str, other: bytes | str) -> bool:
    return one == other or (isinstance(one, str) and isinstance(other, str))


def _inflated(encoding: str, body: bytes, size: int) -> bytes | str:
    """What is in it, or the code of the refusal."""
    reading = inflater(encoding, CAP)
    assert reading is not None
    held = b""
    try:
        for piece in pieces(body, size):
            found = reading.feed(piece)
            assert len(found) <= CAP + PIECE_BYTES
            held += found
        reading.finish()
    except IngestError as error:
        assert error.status in (400, 413)
        return error.code.value
    assert len(held) <= CAP
    return held
