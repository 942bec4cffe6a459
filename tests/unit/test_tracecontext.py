"""W3C Trace Context: what is sound of it, what is ignored, and what goes on with an event."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.codecs.cloudevents import structured
from service.codecs.formats import encode
from service.codecs.tracecontext import MOST_STATE, XRAY, of_event, of_headers, of_message, parse, trace_headers
from service.event import PER_ATTRIBUTE_BYTES, STRUCTURED, Event, Origin, Trace
from service.journal import record
from service.sinks.kafka_headers import headers
from service.sinks.sqs_message import attributes
from tests.contract.harness import event

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
OTHER = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00"
STATE = "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE"
ATTRIBUTES = {"id": "1", "source": "/s", "type": "t", "specversion": "1.0"}


def hexadecimal(length: int) -> st.SearchStrategy[str]:
    return st.text("0123456789abcdef", min_size=length, max_size=length).filter(lambda text: text.strip("0") != "")


PARENTS = st.builds(
    "00-{}-{}-{}".format, hexadecimal(32), hexadecimal(16), st.text("0123456789abcdef", min_size=2, max_size=2)
)


def traced(trace: Trace | None = None, **changes: Any) -> Event:
    return event(1, origin=Origin("http", 0.0, trace=trace), **{"attributes": ATTRIBUTES, **changes})


@given(PARENTS)
def test_a_sound_traceparent_goes_on_as_it_came(parent: str) -> None:
    found = parse(f" {parent}\t", None)
    assert found == Trace(parent)
    assert found.sampled is bool(int(parent[-2:], 16) & 1)


@given(PARENTS, st.integers(0, 54), st.text(max_size=2))
def test_one_with_another_character_is_told_or_ignored_and_never_an_error(parent: str, at: int, changed: str) -> None:
    found = parse(parent[:at] + changed + parent[at + 1 :], None)
    assert found is None or (len(found.parent) == 55 and parse(found.parent, None) == found)


@given(st.text(max_size=80), st.text(max_size=80))
def test_any_text_is_sound_or_ignored(parent: str, state: str) -> None:
    found = parse(parent, state)
    assert found is None or len(found.parent) == 55


@pytest.mark.parametrize(
    "parent",
    [
        "",
        PARENT.upper(),
        PARENT[:-1],
        f"{PARENT}-",
        f"{PARENT}-00",
        f"{PARENT}, {PARENT}",
        PARENT.replace("00-", "ff-", 1),
        f"00-{'0' * 32}-b7ad6b7169203331-01",
        f"00-0af7651916cd43dd8448eb211c80319c-{'0' * 16}-01",
        "0" * 100_000,
    ],
)
def test_what_is_no_traceparent_is_ignored(parent: str) -> None:
    assert parse(parent, STATE) is None


@pytest.mark.parametrize("later", [f"01{PARENT[2:]}", f"cc{PARENT[2:]}-what-else-it-has"])
def test_one_of_a_later_version_goes_on_as_one_of_ours(later: str) -> None:
    assert parse(later, None) == Trace(PARENT)
    assert parse(f"{later}.", None) is None or later.endswith("has")


@pytest.mark.parametrize(
    ("state", "kept"),
    [
        (STATE, STATE),
        (f"  {STATE} ", STATE),
        ("a=1, b=2,,", "a=1, b=2,,"),
        ("tenant@system=opaque value", "tenant@system=opaque value"),
        ("a=" + "x" * 256, "a=" + "x" * 256),
        ("a=" + "x" * 257, ""),
        (",".join(f"k{number}=1" for number in range(32)), ",".join(f"k{number}=1" for number in range(32))),
        (",".join(f"k{number}=1" for number in range(33)), ""),
        ("a=1,a=2", ""),
        ("A=1", ""),
        ("a", ""),
        ("a=é", ""),
        (",", ""),
        (",".join(f"{letter}={'x' * 200}" for letter in "abc"), ""),
        ("a=" + "," * 10**6, ""),
    ],
)
def test_a_tracestate_that_is_not_sound_or_too_long_is_left_out_whole(state: str, kept: str) -> None:
    assert parse(PARENT, state) == Trace(PARENT, kept)
    assert len(kept) <= MOST_STATE


def test_a_message_of_sqs_may_say_it_as_x_ray_does() -> None:
    xray = b"Root=1-0af76519-16cd43dd8448eb211c80319c;Parent=b7ad6b7169203331;Sampled=1;Lineage=a:1"
    assert of_message({XRAY: xray}) == Trace(PARENT)
    assert of_message({XRAY: xray.replace(b"Sampled=1", b"Sampled=0")}) == Trace(f"{PARENT[:-1]}0")
    assert of_message({XRAY: xray, "traceparent": OTHER.encode()}) == Trace(OTHER)
    assert of_message({XRAY: xray, "traceparent": b"\xff"}) == Trace(PARENT)
    assert of_message({XRAY: xray.replace(b"Parent", b"Self")}) is None
    assert of_message({XRAY: b"Root=1-0;Parent=;"}) is None


# --- which goes on


def test_an_events_own_extension_goes_before_what_its_request_said_and_a_span_of_ours_before_both() -> None:
    own = ATTRIBUTES | {"traceparent": PARENT, "tracestate": STATE}
    assert of_event(traced(Trace(OTHER), attributes=own)) == Trace(PARENT, STATE)
    assert of_event(traced(None, attributes=own)) == Trace(PARENT, STATE)
    assert of_event(traced(Trace(OTHER, own=True), attributes=own)) == Trace(OTHER, own=True)
    assert of_event(traced(Trace(OTHER))) == Trace(OTHER)
    assert of_event(traced()) is None


def test_an_extension_that_is_not_sound_stays_an_attribute_and_is_not_followed() -> None:
    broken = traced(Trace(OTHER), attributes=ATTRIBUTES | {"traceparent": "mine"})
    assert trace_headers(broken) == {"traceparent": OTHER}
    assert dict(headers(broken)) | {"traceparent": OTHER, "ce_traceparent": "mine"} == dict(headers(broken))
    assert trace_headers(traced(attributes=ATTRIBUTES | {"traceparent": "mine"})) == {}


# --- how it goes on


def test_a_binary_message_of_kafka_says_it_of_its_way_and_of_its_event() -> None:
    assert headers(traced(Trace(PARENT, STATE), content_type="text/csv"))[-4:] == [
        ("traceparent", PARENT),
        ("tracestate", STATE),
        ("ce_traceparent", PARENT),
        ("ce_tracestate", STATE),
    ]


def test_a_structured_message_of_kafka_says_it_of_its_way_alone() -> None:
    came = traced(Trace(PARENT), content_type=STRUCTURED)
    assert [each for each in headers(came) if "trace" in each[0]] == [("traceparent", PARENT)]


def test_an_extension_of_the_event_is_never_changed() -> None:
    said = dict(headers(traced(Trace(OTHER, own=True), attributes=ATTRIBUTES | {"traceparent": PARENT})))
    assert (said["ce_traceparent"], said["traceparent"]) == (PARENT, OTHER)


def test_an_event_that_is_wrapped_has_it_inside_as_an_extension() -> None:
    wrapped, content_type = encode(traced(Trace(PARENT, STATE)), "cloudevents")
    assert content_type == STRUCTURED
    found = structured(wrapped, 64).attributes
    assert (found["traceparent"], found["tracestate"]) == (PARENT, STATE)
    said = json.loads(encode(traced(Trace(OTHER), attributes=ATTRIBUTES | {"traceparent": PARENT}), "cloudevents")[0])
    assert said["traceparent"] == PARENT
    for form in ("original", "data"):
        assert encode(traced(Trace(PARENT)), form) == encode(traced(), form)


def test_a_message_of_sqs_has_it_in_attributes_if_there_is_room() -> None:
    size = len("traceparentString" + PARENT + "tracestateString" + STATE)
    told = {
        "MessageAttributes": {
            "traceparent": {"DataType": "String", "StringValue": PARENT},
            "tracestate": {"DataType": "String", "StringValue": STATE},
        }
    }
    assert attributes(traced(Trace(PARENT, STATE)), size) == (told, size)
    assert attributes(traced(Trace(PARENT, STATE)), size - 1) == ({}, 0)
    assert attributes(traced(), size) == ({}, 0)


def test_a_stored_event_still_has_it() -> None:
    stored = record.decode(record.encode([[traced(Trace(PARENT, STATE))]]), "orders")
    assert [of_event(each) for each in stored] == [Trace(PARENT, STATE)]


def test_what_it_takes_of_memory_is_accounted_for() -> None:
    assert traced(Trace(PARENT, STATE)).charge - traced().charge == PER_ATTRIBUTE_BYTES + len(STATE)


def test_a_request_without_one_has_none() -> None:
    assert of_headers({"host": "x", "tracestate": STATE}) is None
    assert of_message({"tracestate": STATE.encode()}) is None
