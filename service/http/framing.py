"""Where a request may end in what comes of its connection, so that the parser is given no more than one at a time."""

from typing import Final

SLICE_BYTES: Final = 16 * 1024
"""How much the parser is given at once: within one slice, nothing is bounded but by its size."""

_END: Final = b"\r\n\r\n"
"""Ends every head, and with or without trailers every chunked body (RFC 9112 sections 2.1 and 7.1)."""


class Framing:
    """Cuts what comes of one connection into pieces. No request ends within a piece: only a piece's end may be one."""

    __slots__ = ("_tail", "body")

    def __init__(self) -> None:
        self.body = 0
        """Bytes that are still to come of a body with a Content-Length. Whoever reads heads sets it."""
        self._tail = b""
        """The last bytes of the piece before, if the four that end a request may have begun there."""

    def end(self, data: bytes, start: int) -> int:
        """Where the piece of `data` ends that begins at `start`; it counts as taken."""
        most = len(data)
        if most - start > SLICE_BYTES:
            most = start + SLICE_BYTES
        if self.body:
            if self.body < most - start:
                most = start + self.body
            self.body -= most - start
            return most
        if self._tail:
            across = (self._tail + data[start : start + 3]).find(_END)
            if across >= 0:
                end = start + across + len(_END) - len(self._tail)
                self._tail = b""
                return end
        end = data.find(_END, start, most)
        if end >= 0:
            self._tail = b""
            return end + len(_END)
        self._tail = (self._tail + data[max(start, most - 3) : most])[-3:]
        return most
