"""What headers say: media types, preferences, keys, trace context. Nothing of it is longer than its bounds."""

from service.auth.principal import ANYBODY
from service.codecs import media
from service.codecs.attributes import Mistakes, check, is_uri_reference
from service.codecs.tracecontext import of_headers, parse
from service.errors import Unreadable
from service.http.head import Head, header_map
from service.http.heads import Heads
from service.http.preferences import Preferences, idempotency_key, plain_id, preferences
from service.sources.firehose.head import Head as FirehoseHead
from tests.fuzz.cutting import as_headers, head_and_body


def run(data: bytes) -> None:
    """Headers, an empty line, a body."""
    pairs, body = head_and_body(data)
    headers = as_headers(pairs)
    raw = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
    assert header_map(raw) == headers
    _demand_media(headers.get("content-type", ""))
    assert isinstance(preferences(headers), Preferences)
    try:
        key = idempotency_key(headers)
        assert key is None or (0 < len(key) <= 255 and key.isascii() and key.isprintable())
    except Unreadable:
        pass
    identity = plain_id(headers.get("x-request-id"))
    assert identity is None or (identity.isascii() and identity.isprintable() and len(identity) <= 128)
    trace = of_headers(headers)
    if trace is not None:
        assert parse(trace.parent, trace.state or None) == trace
        assert len(trace.parent) == 55
        assert len(trace.state) <= 512
    check({name: value for name, value in headers.items() if name}, Mistakes())
    assert is_uri_reference(headers.get("source", "")) in (True, False)
    try:
        FirehoseHead.of(headers)
    except Unreadable:
        pass
    except Exception as error:
        if getattr(error, "status", None) != 415:
            raise
    _demand_known(raw, headers, body)


def _demand_media(value: str) -> None:
    try:
        found = media.parse(value)
    except Unreadable as error:
        assert len(error.detail) < 200
    else:
        assert found.is_json == media.is_json(value)


def _demand_known(raw: list[tuple[bytes, bytes]], headers: dict[str, str], body: bytes) -> None:
    """A head that was learnt is found again as it was, or not at all."""
    lines = [b"POST /v1/orders HTTP/1.1", *(b"%b: %b" % pair for pair in raw), b"Content-Length: %d" % len(body)]
    whole = b"\r\n".join(lines) + b"\r\n\r\n" + body
    known = Heads()
    head = Head("orders", None, ANYBODY, headers, lambda _: (), Preferences(), None, None, of_headers(headers))
    known.learn(whole, head, body)
    found = known.find(whole)
    if found is not None:
        assert found[1] == body
        assert found[0].headers == headers
        assert found[0].trace == head.trace
    assert known.find(whole + b"x") is None
    assert known.find(whole[:-1]) is None
