"""Bodies of requests: CloudEvents in three modes, JSON and its arrays, lines of JSON.

No event is lost or invented: there are as many as there are items, each with its own bytes, and what is believed to be
JSON is. A CloudEvent that is read the short way is read the same the long way.
"""

from typing import Final

import orjson

from service.codecs import cloudevents
from service.codecs.attributes import Mistakes, check
from service.codecs.body import reader
from service.codecs.draft import NOT_JSON, Caps, Decoded, Draft, Refusal
from service.codecs.json import nests_deeper
from service.errors import IngestError, InvalidEvent
from service.event import STRUCTURED
from tests.fuzz.cutting import as_headers, head_and_body

CAPS: Final = Caps(event_bytes=1500, events=40, nesting=12)
_BLANK: Final = b" \t\r\n"


def run(data: bytes) -> None:
    """`content-type: ...` and other headers, an empty line, a body."""
    pairs, body = head_and_body(data)
    headers = as_headers(pairs)
    content_type = headers.get("content-type")
    try:
        found = list(reader(content_type, headers, CAPS)(body))
    except IngestError as error:
        assert error.status in (400, 413, 415)
        assert 0 < len(error.detail) < 1000
        return
    assert 0 < len(found) <= CAPS.events
    _demand_all(found, body)
    for each in found:
        if isinstance(each, Refusal):
            assert each.error.status in (413, 422)
            assert 0 < len(each.error.detail) < 2000
        else:
            _demand_sound(each)


def _demand_all(found: list[Decoded], body: bytes) -> None:
    """Each item is there, in its order."""
    at = 0
    for each in found:
        at = body.find(each.body, at)
        assert at >= 0, "an event has bytes that nobody sent, or in another order"
        at += len(each.body)
    if len(found) > 1 and body.lstrip(_BLANK)[:1] == b"[" and not body.lstrip(_BLANK).startswith(b"[\n"):
        try:
            items = orjson.loads(body)
        except ValueError:
            return  # of an array, an item; of lines, all but the first may be anything
        assert len(found) == len(items)


def _demand_sound(draft: Draft) -> None:
    assert len(draft.body) <= CAPS.event_bytes
    mistakes = Mistakes()
    check(draft.attributes, mistakes)
    assert not draft.attributes or not mistakes
    if draft.content_type == STRUCTURED:
        assert not nests_deeper(draft.body, CAPS.nesting)
        _demand_same(draft)
    elif draft.data is not NOT_JSON:
        assert not nests_deeper(draft.body, CAPS.nesting)
        assert not draft.body or draft.data == orjson.loads(draft.body)


def _demand_same(draft: Draft) -> None:
    """A blank before it is all that the short way does not take."""
    try:
        again = cloudevents.structured(b" " + draft.body, CAPS.nesting)
    except InvalidEvent as error:
        raise AssertionError("the short way takes what the long one refuses") from error
    assert again.attributes == draft.attributes
    assert again.data == draft.data
