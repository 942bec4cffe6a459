"""What every codec of messages keeps, whatever it reads."""

import re
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from service import plugins
from service.codecs.attributes import Mistakes, check
from service.codecs.draft import NOT_JSON, Caps, Draft, Refusal
from service.codecs.json import nests_deeper
from service.envelopes.contract import Codec, CodecConfig, Message
from tests.contract.goldens import CAPS, build, golden_files, message_of, read, told

NAMES = plugins.known("envelopes")
OF_ITEMS = {"ndjson", "s3_notification", "dynamodb"}
"""Codecs that may find several events in a message, and refuse one of them alone."""
TIGHT = Caps(event_bytes=500, events=3, nesting=6)
PAGE = Path(__file__).parents[2] / "docs" / "envelopes.md"

GOLDEN = {name: [read(path) for path in golden_files(name)] for name in NAMES}
_WORDS = st.sampled_from(["INSERT", "REMOVE", "insert", "delete", "data", "control", "c", "d", "t", "BEGIN", "1.0"])
_WORDS |= st.sampled_from(["Notification", "2026-01-31T12:00:00Z", "{}", "a/b", "\x00", "x" * 1100])
_SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
_JSON: st.SearchStrategy[Any] = st.recursive(
    _SCALARS | _WORDS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text() | _WORDS, inner, max_size=4),
    max_leaves=12,
)
_HEADERS = st.dictionaries(
    st.sampled_from(["content-type", "ce_id", "ce_source", "ce_type", "ce_specversion", "ce_time", "ce_data", "x"]),
    st.binary(max_size=20)
    | st.sampled_from([b"application/cloudevents+json", b"application/cloudevents; charset=x", b"application/json"])
    | st.sampled_from([b"1.0", b"/here", b"2026-01-31T12:00:00Z"]),
)
_KEYS = (
    st.none() | st.text(st.characters(exclude_categories=())) | st.sampled_from(['{"schema":1,"payload":null}', "["])
)


@st.composite
def _changed(draw: st.DrawFn, value: Any) -> Any:
    """`value` with something else somewhere in it."""
    if not isinstance(value, (dict, list)) or not value or draw(st.integers(0, 5)) == 0:
        return draw(_JSON)
    copy = value.copy()
    place = draw(st.sampled_from(sorted(copy) if isinstance(copy, dict) else range(len(copy))))
    if draw(st.integers(0, 5)) == 0:
        del copy[place]
    else:
        copy[place] = draw(_changed(copy[place]))
    return copy


def _written(value: Any) -> bytes:
    try:
        return orjson.dumps(value)
    except TypeError:  # an integer that does not fit
        return repr(value).encode(errors="replace")


@st.composite
def _values(draw: st.DrawFn, name: str) -> bytes:
    golden = draw(st.sampled_from(GOLDEN[name]))
    whole = message_of(golden).value
    match draw(st.integers(0, 4)):
        case 0:
            return draw(st.binary(max_size=200))
        case 1:
            cut = draw(st.integers(0, len(whole)))
            return whole[:cut] + draw(st.binary(max_size=3)) + whole[cut + 1 :]
        case 2:
            return _written(draw(_JSON))
        case _ if "value" in golden["message"]:
            return _written(draw(_changed(golden["message"]["value"])))
        case _:
            return b"\n".join(draw(st.lists(st.binary(max_size=30) | st.just(whole), max_size=5)))


@st.composite
def _messages(draw: st.DrawFn, name: str) -> Message:
    headers, key = draw(_HEADERS), draw(_KEYS)
    if draw(st.integers(0, 9)) == 0:
        return Message(b"", headers, key, tombstone=True)
    return Message(draw(_values(name)), headers, key)


def demand_sound(name: str, message: Message, caps: Caps) -> None:
    demand_sound_of(build(name, caps), name, message, caps)


def demand_sound_of(codec: Codec, name: str, message: Message, caps: Caps) -> None:
    found = list(codec.decode(message))
    assert found, "a message of which nothing is told is lost"
    assert len(found) <= caps.events
    for each in found:
        if isinstance(each, Refusal):
            assert each.body in message.value
            assert each.body == message.value or name in OF_ITEMS
            assert each.error.detail
        elif isinstance(each, Draft):
            assert len(each.body) <= caps.event_bytes
            assert each.data is NOT_JSON or not nests_deeper(each.body, caps.nesting)
            assert each.body in message.value or name == "sns"
            mistakes = Mistakes()
            check(each.attributes, mistakes)
            assert not each.attributes or not mistakes
    assert told(found, message) == told(codec.decode(message), message)


@pytest.mark.parametrize("name", NAMES)
@settings(deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_whatever_the_message_each_codec_tells_what_became_of_all_of_it(name: str, data: st.DataObject) -> None:
    demand_sound(name, data.draw(_messages(name)), data.draw(st.sampled_from([CAPS, TIGHT])))


BROKEN = {
    "nothing": b"",
    "blanks": b" \n",
    "half an object": b"{",
    "null": b"null",
    "an array": b"[]",
    "no records": b'{"Records": []}',
    "no array of records": b'{"Records": {}}',
    "too many records": b'{"Records": [' + b"{}," * 2000 + b"{}]}",
    "too deep": b'{"a":' * 600 + b"1" + b"}" * 600,
    "far too deep": b"[" * 200_000,
    "far too deep a record": b'{"Records":' + b"[" * 200_000,
    "no UTF-8": b"\xff" * 3000,
    "a surrogate": b'{"a": "\xed\xa0\x80"}',
    "an operation that is none": b'{"op": [], "metadata": {"record-type": [], "operation": {}}, "eventName": []}',
}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("value", BROKEN.values(), ids=BROKEN)
def test_what_is_no_envelope_is_refused_with_all_its_bytes(name: str, value: bytes) -> None:
    message = Message(value, {}, "k")
    demand_sound(name, message, CAPS)
    found = list(build(name).decode(message))
    assert all(isinstance(each, Refusal) for each in found) or name in {"dms", "json", "ndjson"}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("value", "says"),
    [
        (b"\x00\x00\x00\x01\x02{}", "Confluent Schema Registry header (schema id 258)"),
        (b"\x01" + bytes(range(16)) + b"{}", "schema GUID 00010203-0405-0607-0809-0a0b0c0d0e0f"),
        (b"\x03\x00" + bytes(range(16)) + b"{}", "(schema version 00010203-0405-0607-0809-0a0b0c0d0e0f, uncompressed)"),
        (b"\x03\x05" + bytes(16) + b"x", "AWS Glue Schema Registry header"),
        (b"\x03\x09" + bytes(16) + b"x", "with compression 0x09"),
    ],
)
def test_the_header_of_a_schema_registry_is_named(name: str, value: bytes, says: str) -> None:
    (found,) = build(name).decode(Message(value, {}))
    assert isinstance(found, Refusal)
    assert found.body == value
    assert says in found.error.detail
    assert "no registry is configured" in found.error.detail


@pytest.mark.parametrize("name", NAMES)
def test_every_codec_has_golden_files_of_named_documents(name: str) -> None:
    assert GOLDEN[name], f"tests/contract/golden/{name} has no file"
    assert all(golden["source"] for golden in GOLDEN[name])


@pytest.mark.parametrize(
    "path", [path for name in NAMES for path in golden_files(name)], ids=lambda path: f"{path.parent.name}-{path.stem}"
)
def test_a_documented_message_is_read_as_its_golden_file_says(path: Path) -> None:
    golden = read(path)
    message = message_of(golden)
    demand_sound(path.parent.name, message, CAPS)
    assert told(build(path.parent.name).decode(message), message) == golden["expected"]


@pytest.mark.parametrize("name", NAMES)
def test_what_is_too_large_for_an_event_is_refused_as_that(name: str) -> None:
    small = Caps(event_bytes=10, events=1000, nesting=64)
    drafts = [each for golden in GOLDEN[name] for each in build(name, small).decode(message_of(golden))]
    assert not [each for each in drafts if isinstance(each, Draft) and len(each.body) > 10]
    assert any(isinstance(each, Refusal) and each.error.code == "event_too_large" for each in drafts)


@pytest.mark.parametrize("name", NAMES)
def test_a_codec_says_where_its_format_is_documented_and_what_it_does_with_deletes_and_control(name: str) -> None:
    words = " ".join((plugins.load("envelopes", name).__doc__ or "").split())
    assert re.search(r"Documented: .*Deletes: .*Control records", words)


@pytest.mark.parametrize("name", NAMES)
def test_a_codec_has_its_rows_in_the_documentation(name: str) -> None:
    codecs, _, deletes = PAGE.read_text("utf-8").partition("\n## Deletes and control records\n")
    assert re.search(rf"^\| `{name}` \|", codecs, re.MULTILINE)
    assert re.search(rf"^\|[^|]*`{name}`[^|]*\|", deletes.partition("\n## ")[0], re.MULTILINE)


@pytest.mark.parametrize("name", NAMES)
def test_a_setting_that_a_codec_does_not_have_is_a_mistake(name: str) -> None:
    config = plugins.load("envelopes", name).Config
    assert issubclass(config, CodecConfig)
    with pytest.raises(ValidationError):
        config(type=name, colour="red")
    assert all(field.description for field in config.model_fields.values())
