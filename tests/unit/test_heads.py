"""Heads that were seen before: found by their bytes alone, and only those that the parser read as they stand."""

from typing import Any

import pytest

from service.sources.heads import MOST, MOST_BYTES, Heads

HEAD: Any = object()
LINES = b"POST /v1/orders HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\nContent-Type: application/json\r\n\r\n"


def whole(body: bytes, lines: bytes = LINES) -> bytes:
    return lines % len(body) + body


def learned(data: bytes, body: bytes) -> Heads:
    heads = Heads()
    heads.learn(data, HEAD, body)
    return heads


@pytest.mark.parametrize("lines", [LINES, LINES.lower(), LINES.replace(b"Host: x\r\n", b"Host: x\r\nPrefer: y\r\n")])
def test_a_head_is_known_whatever_the_length_of_its_body(lines: bytes) -> None:
    heads = learned(whole(b"{}", lines), b"{}")
    for body in (b"{}", b'{"a":1}', b"x" * 70_000, b""):
        assert heads.find(whole(body, lines)) == (HEAD, body)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"POST",
        LINES % 2,
        LINES % 2 + b"{",
        LINES % 2 + b"{}P",
        whole(b"{}") * 2,
        whole(b"{}").replace(b"orders", b"others"),
        whole(b"{}").replace(b"Host: x", b"Host: y"),
        whole(b"{}").replace(b": 2\r", b": +2\r"),
        whole(b"{}").replace(b": 2\r", b": 2 \r"),
        whole(b"{}").replace(b": 2\r", b": 0000002\r"),
        whole(b"{}").replace(b": 2\r", b": \r"),
        whole(b"{}").replace(b": 2\r", b": \xb2\r"),
        b"\r\n" + whole(b"{}"),
        whole(b"{}").replace(b"Host", b"X-Length: 2\r\nHost"),
    ],
)
def test_what_is_not_all_of_one_request_with_these_bytes_is_not_found(data: bytes) -> None:
    assert learned(whole(b"{}"), b"{}").find(data) is None


@pytest.mark.parametrize(
    ("lines", "body"),
    [
        (LINES.replace(b"Host", b"X-Length: 9\r\nHost"), b"{}"),
        (b"\r\n\r\n" + LINES, b"{}"),
        (LINES.replace(b"Host: x", b"Host: " + b"x" * MOST_BYTES), b"{}"),
        (LINES.replace(b"%d", b"0%d"), b"{}"),
        (LINES.replace(b"Content-Length: %d", b"X: %d"), b"{}"),
    ],
)
def test_a_head_that_cannot_be_told_from_its_bytes_is_not_learned(lines: bytes, body: bytes) -> None:
    data = whole(body, lines)
    assert learned(data, body).find(data) is None


def test_a_body_that_the_parser_found_elsewhere_teaches_nothing() -> None:
    data = whole(b"{}")
    assert learned(data, b"[]").find(data) is None
    assert learned(data + b"POST", b"{}").find(data) is None


def test_no_more_heads_are_kept_than_may_be() -> None:
    heads = Heads()
    for number in range(3 * MOST):
        heads.learn(whole(b"{}", LINES.replace(b"Host: x", b"Host: %d" % number)), HEAD, b"{}")
    assert len(heads._known) <= MOST
