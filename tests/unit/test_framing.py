"""Framing: a request ends at the end of a piece, and never within one, however its bytes come."""

import httptools
from hypothesis import given
from hypothesis import strategies as st

from service.http.framing import SLICE_BYTES, Framing

REQUESTS = (
    b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: x\r\ncontent-length: 12 \r\n\r\n\r\n\r\nGET / \r\n",
    b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % (SLICE_BYTES + 3) + b"\r\n\r\n" * 4096 + b"xyz",
    b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n8;a=b\r\n\r\n\r\n0\r\n\r\r\n0\r\nT: u\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: x\r\n" + b"X: " + b"y" * (SLICE_BYTES - 27) + b"\r\n\r\n",
)


class Reader:
    """Parses pieces, and says when a request has ended."""

    def __init__(self) -> None:
        self.framing = Framing()
        self.ended = 0
        self._within = False
        self.parser = httptools.HttpRequestParser(self)

    def on_message_begin(self) -> None:
        assert not self._within, "a request began in the piece in which another ended"

    def on_header(self, name: bytes, value: bytes) -> None:
        if name.lower() == b"content-length":
            self.framing.body = int(value)

    def on_message_complete(self) -> None:
        self.ended += 1
        self._within = True

    def read(self, data: bytes) -> None:
        """All of `data`, piece by piece."""
        start = 0
        while start < len(data):
            end = self.framing.end(data, start)
            assert start < end <= min(len(data), start + SLICE_BYTES)
            self._within = False
            self.parser.feed_data(data[start:end])
            start = end


@given(st.lists(st.tuples(st.sampled_from(REQUESTS), st.sets(st.integers(1, 60), max_size=5)), max_size=6))
def test_a_request_ends_where_a_piece_ends(requests: list[tuple[bytes, set[int]]]) -> None:
    """With each request come the places before its end where a read ends."""
    reader = Reader()
    waiting = b""
    for whole, cuts in requests:
        start = 0
        for cut in sorted({max(0, len(whole) - cut) for cut in cuts}):
            reader.read(waiting + whole[start:cut])
            waiting, start = b"", cut
        waiting += whole[start:]
    reader.read(waiting)
    assert reader.ended == len(requests)


def test_a_request_ends_where_a_piece_ends_byte_by_byte() -> None:
    reader = Reader()
    for requests in REQUESTS:
        for byte in requests:
            reader.read(bytes((byte,)))
    assert reader.ended == len(REQUESTS)
