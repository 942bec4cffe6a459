"""Heads of requests that were parsed before: the same bytes mean the same again, and are not parsed again.

A producer's requests differ in little but their bodies. Where the head of one is known, and all of it came at once,
what was found of those bytes, by the parser and by admission, holds for it.
"""

from typing import Final

from service.sources.head import Head

MOST: Final = 512
"""Heads that are remembered; with one more all are forgotten. Producers have few that differ in more than a length."""
MOST_BYTES: Final = 2048
"""Of a head that is remembered."""
_LENGTH: Final = b"ength: "
"""Where the digits begin, if the first one in a head is of that header; if not, `learn` sees it, and learns nothing."""
_HEADER: Final = b"\r\ncontent-length: "
_END: Final = b"\r\n\r\n"


class Heads:
    """The known heads of one port, by their bytes without the digits of the Content-Length."""

    def __init__(self) -> None:
        self._known: dict[bytes, Head] = {}

    def find(self, data: bytes) -> tuple[Head, bytes] | None:
        """The head and the body of the request that `data` is, all of it and nothing else, if its head is known."""
        mark = data.find(_LENGTH) + len(_LENGTH)
        digits_end, head_end = data.find(b"\r", mark), data.find(_END) + len(_END)
        head = self._known.get(data[:mark] + data[digits_end:head_end])
        if head is None or data[mark:digits_end] != b"%d" % (len(data) - head_end):
            return None
        return head, data[head_end:]

    def learn(self, data: bytes, head: Head, body: bytes | bytearray) -> None:
        """`data` was the whole of a request that leaves its connection open; its parser has found `head` and `body`."""
        mark = data.find(_LENGTH) + len(_LENGTH)
        digits_end, head_end = data.find(b"\r", mark), data.find(_END) + len(_END)
        if (
            mark < digits_end < head_end <= MOST_BYTES
            and data[:mark].lower().endswith(_HEADER)
            and data[mark:digits_end] == b"%d" % len(body)
            and data[head_end:] == body
        ):
            if len(self._known) >= MOST:
                self._known.clear()
            self._known[data[:mark] + data[digits_end:head_end]] = head
