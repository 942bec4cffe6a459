"""Heads that were seen before: found by their bytes alone, and only those that the parser read as they stand."""

from typing import Any

import pytest

from service.auth.principal import ANYBODY
from service.codecs.tracecontext import of_headers
from service.event import Trace
from service.http.head import Head
from service.http.heads import MOST, MOST_BYTES, Heads
from service.http.preferences import Preferences


def head(**headers: str) -> Head:
    return Head("orders", None, ANYBODY, headers, lambda body: (), Preferences(), None, None, of_headers(headers))


HEAD: Any = head()
LINES = b"POST /v1/orders HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\nContent-Type: application/json\r\n\r\n"


def whole(body: bytes, lines: bytes = LINES) -> bytes:
    return lines % len(body) + body


def learned(data: bytes, body: bytes, head: Head = HEAD) -> Heads:
    heads = Heads()
    heads.learn(data, head, body)
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


# --- a traceparent, which differs in each request

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
OTHER = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00"


def with_parent(parent: str, name: str = "traceparent", more: str = "") -> bytes:
    return LINES.replace(b"Host: x", f"Host: x\r\n{name}: {parent}{more}".encode())


@pytest.mark.parametrize("name", ["traceparent", "Traceparent"])
def test_a_head_is_known_whatever_its_traceparent(name: str) -> None:
    heads = learned(whole(b"{}", with_parent(PARENT, name)), b"{}", head(traceparent=PARENT, host="x"))
    for parent in (PARENT, OTHER):
        found = heads.find(whole(b"[1]", with_parent(parent, name)))
        assert found is not None
        assert (found[0].trace, found[0].headers, found[1]) == (
            Trace(parent),
            {"host": "x", "traceparent": parent},
            b"[1]",
        )


@pytest.mark.parametrize(
    "data",
    [
        with_parent(OTHER[:-1]),
        with_parent(OTHER.upper()),
        with_parent(f"{OTHER[:20]}\r\nContent-Length: 1\r\nX: 234567890"[:55]),
        with_parent(OTHER, more="-1"),
        with_parent(OTHER, "TraceParent"),
        with_parent(OTHER, "ce-traceparent"),
        with_parent(OTHER, more="\r\ntraceparent: " + OTHER),
        with_parent(OTHER, more="\r\nX: y"),
        LINES,
    ],
)
def test_nothing_else_of_the_head_may_differ(data: bytes) -> None:
    heads = learned(whole(b"{}", with_parent(PARENT)), b"{}", head(traceparent=PARENT))
    assert heads.find(whole(b"{}", data)) is None


@pytest.mark.parametrize(
    ("known", "state"), [("a=1", "b=2,c=3"), ("dd=s:1;p:b7ad6b7169203331", "dd=s:1;p:00f067aa0ba902b7")]
)
def test_nor_does_its_tracestate_matter(known: str, state: str) -> None:
    data = whole(b"{}", with_parent(PARENT, more=f"\r\ntracestate: {known}"))
    heads = learned(data, b"{}", head(traceparent=PARENT, tracestate=known))
    found = heads.find(whole(b"[1]", with_parent(OTHER, more=f"\r\ntracestate: {state}")))
    assert found is not None
    assert found[0].trace == Trace(OTHER, state)
    assert found[0].headers == {"traceparent": OTHER, "tracestate": state}
    for other in ("", "A=1", "a=1,a=2", "a", "a=" + "x" * 600, "a=1\r\ntracestate: b=2", "a=1\nX: y"):
        assert heads.find(whole(b"[1]", with_parent(OTHER, more=f"\r\ntracestate: {other}"))) is None
    assert heads.find(whole(b"[1]", with_parent(OTHER))) is None


def test_a_head_with_two_tracestates_stands_for_itself_but_for_its_traceparent() -> None:
    two = "\r\ntracestate: a=1\r\ntracestate: b=2"
    heads = learned(whole(b"{}", with_parent(PARENT, more=two)), b"{}", head(traceparent=PARENT, tracestate="a=1, b=2"))
    assert heads.find(whole(b"{}", with_parent(PARENT, more=two))) is not None
    assert heads.find(whole(b"{}", with_parent(PARENT, more=two.replace("a=1", "c=1")))) is None
    assert heads.find(whole(b"{}", with_parent(OTHER, more=two))) is None


def test_of_heads_whose_traceparent_is_not_followed_each_stands_for_itself() -> None:
    broken = whole(b"{}", with_parent("x" * 55))
    heads = learned(broken, b"{}", head(traceparent="x" * 55))
    assert heads.find(broken) is not None
    assert heads.find(whole(b"{}", with_parent("y" * 55))) is None
