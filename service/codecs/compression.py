"""Bounded decompression: gzip and zstd, piece by piece, never more than a cap."""

import zlib
from typing import Protocol

import zstandard

from service.errors import Code, TooLarge, Unreadable, Unsupported

PIECE_BYTES = 2 * 2**20
"""Most that is held beyond the cap when a body is refused."""

_GZIP_STEP_BYTES = 4096
"""zlib copies what is left of a step at each member's end, and a step may hold many: this bounds the copying.
Deflate gives at most 1,032 times what it takes."""

_BLOCK_BYTES = 128 * 1024
_MOST_RATIO = _BLOCK_BYTES // 4
"""A zstd block takes at least 4 bytes and gives at most 128 KiB (RFC 8878 §3.1.1.2)."""

_WINDOW_LOG = 23
"""zstd windows above 8 MiB are refused (RFC 8878 §3.1.1.1.2 recommends to support that much)."""


class Inflater(Protocol):
    """Decompresses a body that arrives in pieces."""

    def feed(self, chunk: bytes) -> bytes:
        """What `chunk` adds. Raises TooLarge (BODY_TOO_LARGE) as soon as the sum passes the cap, having held no
        more than the cap and one piece; Unreadable (INVALID_ENCODING) if the data is corrupt."""

    def finish(self) -> None:
        """Raise Unreadable (INVALID_ENCODING) if the data ended too soon."""


def inflater(encoding: str, cap: int) -> Inflater | None:
    """The inflater for a Content-Encoding, None for none. Raises Unsupported naming what is allowed."""
    match encoding.strip().lower():
        case "" | "identity":
            return None
        case "gzip" | "x-gzip":
            return _Gzip(cap)
        case "zstd":
            return _Zstd(cap)
        case other:
            raise Unsupported(
                Code.UNSUPPORTED_ENCODING,
                f"Content-Encoding {other[:40]!r} is not taken; allowed: gzip, zstd (one of them, once)",
                allowed="gzip, zstd",
            )


class _Capped:
    def __init__(self, cap: int) -> None:
        self._cap = cap
        self._total = 0

    def _count(self, piece: bytes) -> bytes:
        self._total += len(piece)
        if self._total > self._cap:
            raise TooLarge(
                Code.BODY_TOO_LARGE,
                f"the body has more than {self._cap} bytes when decompressed: send fewer events at once",
                limit=self._cap,
                actual=self._total,
            )
        return piece


class _Gzip(_Capped):
    """One or more gzip members (RFC 1952 §2.2)."""

    def __init__(self, cap: int) -> None:
        super().__init__(cap)
        self._member = zlib.decompressobj(wbits=31)
        self._begun = False

    def feed(self, chunk: bytes) -> bytes:
        pieces: list[bytes] = []
        for start in range(0, len(chunk), _GZIP_STEP_BYTES):
            self._inflate(chunk[start : start + _GZIP_STEP_BYTES], pieces)
        return b"".join(pieces)

    def _inflate(self, step: bytes, pieces: list[bytes]) -> None:
        while step:
            if self._member.eof:
                self._member = zlib.decompressobj(wbits=31)
            self._begun = True
            try:
                pieces.append(self._count(self._member.decompress(step, _BLOCK_BYTES)))
            except zlib.error as error:
                raise _corrupt("gzip", error) from None
            step = self._member.unused_data if self._member.eof else self._member.unconsumed_tail

    def finish(self) -> None:
        if self._begun and not self._member.eof:
            raise _corrupt("gzip", "it ends too soon")


class _Zstd(_Capped):
    """One or more zstd frames (RFC 8878), skippable ones among them."""

    def __init__(self, cap: int) -> None:
        super().__init__(cap)
        self._context = zstandard.ZstdDecompressor(max_window_size=1 << _WINDOW_LOG)
        self._frame = self._context.decompressobj(write_size=_BLOCK_BYTES)
        self._begun = False

    def feed(self, chunk: bytes) -> bytes:
        pieces: list[bytes] = []
        start = 0
        while start < len(chunk):
            # One call inflates all that it is given: give it what, at the worst, passes the cap by one piece.
            size = (self._cap - self._total + PIECE_BYTES // 2) // _MOST_RATIO
            self._inflate(chunk[start : start + size], pieces)
            start += size
        return b"".join(pieces)

    def _inflate(self, step: bytes, pieces: list[bytes]) -> None:
        while step:
            if self._frame.eof:
                self._frame = self._context.decompressobj(write_size=_BLOCK_BYTES)
            self._begun = True
            try:
                pieces.append(self._count(self._frame.decompress(step)))
            except zstandard.ZstdError as error:
                raise _corrupt("zstd", f"{error} (windows above {2**_WINDOW_LOG} bytes are not taken)") from None
            step = self._frame.unused_data if self._frame.eof else b""

    def finish(self) -> None:
        if self._begun and not self._frame.eof:
            raise _corrupt("zstd", "it ends too soon")


def _corrupt(name: str, why: object) -> Unreadable:
    return Unreadable(Code.INVALID_ENCODING, f"the body is not valid {name}: {why}")
