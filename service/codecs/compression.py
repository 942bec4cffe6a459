"""Bounded decompression: gzip and zstd, piece by piece, never more than a cap."""

import zlib
from typing import Protocol

import zstandard

from service.errors import Code, TooLarge, Unreadable, Unsupported

PIECE_BYTES = 64 * 1024
"""Most that one step inflates to."""

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
        pieces = []
        while chunk:
            if self._member.eof:
                self._member = zlib.decompressobj(wbits=31)
            self._begun = True
            try:
                pieces.append(self._count(self._member.decompress(chunk, PIECE_BYTES)))
            except zlib.error as error:
                raise _corrupt("gzip", error) from None
            chunk = self._member.unused_data if self._member.eof else self._member.unconsumed_tail
        return b"".join(pieces)

    def finish(self) -> None:
        if self._begun and not self._member.eof:
            raise _corrupt("gzip", "it ends too soon")


class _Zstd(_Capped):
    """One or more zstd frames (RFC 8878)."""

    def __init__(self, cap: int) -> None:
        super().__init__(cap)
        self._context = zstandard.ZstdDecompressor(max_window_size=1 << _WINDOW_LOG)
        self._frame = self._context.decompressobj(write_size=PIECE_BYTES)
        self._begun = False

    def feed(self, chunk: bytes) -> bytes:
        pieces = []
        while chunk:
            # One call inflates all it is given, so it gets little: a byte of zstd may stand for a block of 128 KiB.
            step, chunk = chunk[:_STEP_BYTES], chunk[_STEP_BYTES:]
            while step:
                if self._frame.eof:
                    self._frame = self._context.decompressobj(write_size=PIECE_BYTES)
                self._begun = True
                try:
                    pieces.append(self._count(self._frame.decompress(step)))
                except zstandard.ZstdError as error:
                    raise _corrupt("zstd", error) from None
                step = self._frame.unused_data if self._frame.eof else b""
        return b"".join(pieces)

    def finish(self) -> None:
        if self._begun and not self._frame.eof:
            raise _corrupt("zstd", "it ends too soon")


_STEP_BYTES = 64
"""A zstd block takes at least 4 bytes and gives at most 128 KiB: one step gives at most 2 MiB."""


def _corrupt(name: str, why: object) -> Unreadable:
    return Unreadable(Code.INVALID_ENCODING, f"the body is not valid {name}: {why}")
