"""Heads of requests that were parsed before: the same bytes mean the same again, and are not parsed again.

A producer's requests differ in little but their bodies. Where the head of one is known, and all of it came at once,
what was found of those bytes, by the parser and by admission, holds for it. What differs in each of them is left out of
what is compared: the digits of the Content-Length, and the values of `traceparent` and `tracestate`.
"""

from math import inf
from time import time
from typing import Final

from msgspec.structs import replace

from service.codecs.tracecontext import PARENT, PARENT_CHARACTERS, STATE, of_headers
from service.http.head import Head

MOST: Final = 512
"""Heads that are remembered; with one more all are forgotten. Producers have few that differ in more than a length."""
MOST_BYTES: Final = 2048
"""Of a head that is remembered."""
_LENGTH: Final = b"ength: "
"""Where the digits begin, if the first one in a head is of that header; if not, `learn` sees it, and learns nothing."""
_HEADER: Final = b"\r\ncontent-length: "
_END: Final = b"\r\n\r\n"
_LINE: Final = b"\r\n"
_PARENTS: Final = (b"\r\ntraceparent: ", b"\r\nTraceparent: ")
_STATES: Final = (b"\r\ntracestate: ", b"\r\nTracestate: ")
"""As producers write them."""


class Heads:
    """The known heads of one port, or of one client, by their bytes without the digits of the Content-Length."""

    def __init__(self, most: int = MOST) -> None:
        """`most` are remembered; with 0 none."""
        self.most = most
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
        if (
            head is None
            or (head.until < inf and head.until <= time())
            or data[mark:digits_end] != b"%d" % (len(data) - head_end)
        ):
            return None
        return head, data[head_end:]

    def forget(self) -> None:
        """Who may send is others now."""
        self._known.clear()

    def _find_traced(self, key: bytes) -> Head | None:
        """The head that is known but for its `traceparent` and `tracestate`, with those that stand in `key`."""
        parted = _parted(key)
        head = self._known.get(parted[0]) if parted is not None else None
        if parted is None or head is None:
            return None
        headers = {**head.headers, **parted[1]}
        trace = of_headers(headers)
        # what is not sound might be anything, two lines even
        sound = trace is not None and (STATE not in parted[1] or trace.state)
        return replace(head, headers=headers, trace=trace) if sound else None

    def learn(self, data: bytes, head: Head, body: bytes | bytearray) -> None:
        """`data` was the whole of a request that leaves its connection open; its parser has found `head` and `body`."""
        mark = data.find(_LENGTH) + len(_LENGTH)
        digits_end, head_end = data.find(b"\r", mark), data.find(_END) + len(_END)
        if (
            self.most
            and mark < digits_end < head_end <= MOST_BYTES
            and data[:mark].lower().endswith(_HEADER)
            and data[mark:digits_end] == b"%d" % len(body)
            and data[head_end:] == body
        ):
            if len(self._known) >= self.most:
                self._known.clear()
            key = data[:mark] + data[digits_end:head_end]
            parted = _parted(key) if head.trace is not None else None
            # of two the parser has made one, and not what stands in the first line
            if parted is not None and parted[1].items() <= head.headers.items():
                key = parted[0]
                self._traced = True
            self._known[key] = head


def _parted(key: bytes) -> tuple[bytes, dict[str, str]] | None:
    """A head without the values of its `traceparent` and `tracestate`, and these; None if the first has not 55
    characters, or the second none."""
    start = _value(key, _PARENTS)
    end = start + PARENT_CHARACTERS
    if not start or key[end : end + 2] != _LINE:
        return None
    values = {PARENT: key[start:end].decode("latin-1")}
    rest = key[:start] + key[end:]
    start = _value(rest, _STATES)
    if not start:
        return rest, values
    end = rest.find(_LINE, start)
    values[STATE] = rest[start:end].decode("latin-1")
    return (rest[:start] + rest[end:], values) if end > start else None


def _value(key: bytes, names: tuple[bytes, ...]) -> int:
    """Where the value of a header begins that has one of these names; 0 if there is none."""
    for name in names:
        if (at := key.find(name)) >= 0:
            return at + len(name)
    return 0
