"""Heads of requests that were parsed before: the same bytes mean the same again, and are not parsed again.

A producer's requests differ in little but their bodies. Where the head of one is known, and all of it came at once,
what was found of those bytes, by the parser and by admission, holds for it. What differs in each of them is left out of
what is compared: the digits of the Content-Length, and the value of a `traceparent`.
"""

from typing import Final

from msgspec.structs import replace

from service.codecs.tracecontext import PARENT, PARENT_CHARACTERS, of_headers
from service.sources.head import Head

MOST: Final = 512
"""Heads that are remembered; with one more all are forgotten. Producers have few that differ in more than a length."""
MOST_BYTES: Final = 2048
"""Of a head that is remembered."""
_LENGTH: Final = b"ength: "
"""Where the digits begin, if the first one in a head is of that header; if not, `learn` sees it, and learns nothing."""
_HEADER: Final = b"\r\ncontent-length: "
_END: Final = b"\r\n\r\n"
_PARENTS: Final = (b"\r\ntraceparent: ", b"\r\nTraceparent: ")
"""As producers write it."""


class Heads:
    """The known heads of one port, by their bytes without the digits of the Content-Length."""

    def __init__(self) -> None:
        self._known: dict[bytes, Head] = {}
        self._traced = False
        """Whether some of them are known without the value of a `traceparent`."""

    def find(self, data: bytes) -> tuple[Head, bytes] | None:
        """The head and the body of the request that `data` is, all of it and nothing else, if its head is known."""
        mark = data.find(_LENGTH) + len(_LENGTH)
        digits_end, head_end = data.find(b"\r", mark), data.find(_END) + len(_END)
        key = data[:mark] + data[digits_end:head_end]
        head = self._known.get(key)
        if head is None and self._traced:
            head = self._find_traced(key)
        if head is None or data[mark:digits_end] != b"%d" % (len(data) - head_end):
            return None
        return head, data[head_end:]

    def _find_traced(self, key: bytes) -> Head | None:
        """The head that is known but for its `traceparent`, with the one that stands in `key`."""
        start = _value(key)
        head = self._known.get(_without(key, start)) if start else None
        if head is None:
            return None
        headers = {**head.headers, PARENT: key[start : start + PARENT_CHARACTERS].decode("latin-1")}
        # one that is not sound might be anything, two lines even
        trace = of_headers(headers)
        return None if trace is None else replace(head, headers=headers, trace=trace)

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
            key = data[:mark] + data[digits_end:head_end]
            # of two the parser has made one, which is none: then each stands for itself
            if head.trace is not None and (start := _value(key)):
                key = _without(key, start)
                self._traced = True
            self._known[key] = head


def _value(key: bytes) -> int:
    """Where the value of the `traceparent` begins that a head has, one of 55 characters; 0 if it has none."""
    for name in _PARENTS:
        start = key.find(name) + len(name)
        if start >= len(name) and key[start + PARENT_CHARACTERS : start + PARENT_CHARACTERS + 2] == _END[:2]:
            return start
    return 0


def _without(key: bytes, start: int) -> bytes:
    return key[:start] + key[start + PARENT_CHARACTERS :]
