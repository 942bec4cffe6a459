"""CloudEvents 1.0.2: the rules of the envelope,
in the JSON format and in the binary mode of the HTTP binding."""

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.codecs.cloudevents import id_in_body, id_in_headers, structured
from service.codecs.draft import NOT_JSON, Draft
from service.errors import Code, InvalidEvent
from service.event import STRUCTURED

MINIMAL: dict[str, Any] = {"specversion": "1.0", "id": "A234", "source": "/mycontext", "type": "com.example.some"}


def read(changes: dict[str, Any] | None = None, without: str | None = None) -> Draft:
    event = {name: value for name, value in (MINIMAL | (changes or {})).items() if name != without}
    return structured(json.dumps(event).encode(), 64)


def refused(changes: dict[str, Any] | None = None, without: str | None = None) -> list[tuple[str, str]]:
    with pytest.raises(InvalidEvent) as caught:
        read(changes, without)
    return places(caught.value)


def places(error: InvalidEvent) -> list[tuple[str, str]]:
    assert error.code is Code.INVALID_CLOUDEVENT
    assert all(mistake["detail"] for mistake in error.members["errors"])
    return [(mistake["pointer"], mistake["keyword"]) for mistake in error.members["errors"]]


def test_the_four_required_attributes_are_enough() -> None:
    draft = read()
    assert draft.attributes == MINIMAL
    assert draft.content_type == STRUCTURED
    assert draft.data is None


@pytest.mark.parametrize("name", MINIMAL)
@pytest.mark.parametrize("value", ["missing", "", None])
def test_a_required_attribute_must_be_there_and_filled(name: str, value: str | None) -> None:
    changes = {} if value == "missing" else {name: value}
    assert refused(changes, without=name if value == "missing" else None) == [(f"#/{name}", "required")]


@pytest.mark.parametrize("name", MINIMAL)
@pytest.mark.parametrize("value", [1, 1.0, True, False, {}, []])
def test_a_required_attribute_is_a_string(name: str, value: Any) -> None:
    assert refused({name: value}) == [(f"#/{name}", "type")]


@pytest.mark.parametrize("version", ["0.3", "1", "1.0.2", "1.1", "?", " 1.0"])
def test_only_version_1_0_is_taken(version: str) -> None:
    assert refused({"specversion": version}) == [("#/specversion", "enum")]


@pytest.mark.parametrize(
    "source",
    ["/a/b", "https://example.com/a?b=c#d", "urn:uuid:6e8bc430", "mailto:a@example.com", "a", "?", "#f",
     "//host:80/a",
     "http://[::1]:80/", "%41", "1-555-123-4567", "/a:b", "arn:aws:s3:::bucket"],
)  # fmt: skip
def test_a_source_is_a_uri_reference(source: str) -> None:
    assert read({"source": source}).attributes["source"] == source


@pytest.mark.parametrize(
    "source",
    ["a b", "é", "/a\\b", "<a>", "a#b#c", "%4", "%zz", "1a:b", ":a", "//a b", "http://[::1", "[", "/a[b]",
     "a\u0000",
     "{x}", "//a:b:c/", "http://host:port/"],
)  # fmt: skip
def test_what_is_no_uri_reference_is_no_source(source: str) -> None:
    assert ("#/source", "format") in refused({"source": source})


@pytest.mark.parametrize("uri", ["https://example.com/s", "urn:a:b", "a:", "http://json-schema.org/draft-07/schema#"])
def test_a_dataschema_is_an_absolute_uri(uri: str) -> None:
    assert read({"dataschema": uri}).attributes["dataschema"] == uri


@pytest.mark.parametrize("uri", ["", "/s", "example.com/s", "//example.com/s", "#x", "1:a", "a:%", "a: b"])
def test_a_relative_dataschema_is_refused(uri: str) -> None:
    assert refused({"dataschema": uri}) == [("#/dataschema", "format")]


@pytest.mark.parametrize(
    "time",
    ["2018-04-05T17:31:00Z", "2018-04-05t17:31:00z", "2018-04-05T17:31:00.123456789Z",
     "2018-04-05T17:31:00+23:59",
     "2016-12-31T23:59:60Z", "2024-02-29T00:00:00Z", "2000-02-29T00:00:00-00:00", "2021-12-31T00:00:00Z"],
)  # fmt: skip
def test_a_time_is_a_timestamp_of_rfc_3339(time: str) -> None:
    assert read({"time": time}).attributes["time"] == time


@pytest.mark.parametrize(
    "time",
    ["", "?", "2018-04-05", "2018-04-05T17:31:00", "2018-04-05 17:31:00Z", "2018-04-05T17:31Z",
     "2018-13-01T00:00:00Z",
     "2018-00-01T00:00:00Z", "2018-01-00T00:00:00Z", "2018-02-29T00:00:00Z", "1900-02-29T00:00:00Z",
     "2018-04-31T00:00:00Z", "2018-01-32T00:00:00Z", "2018-04-05T24:00:00Z", "2018-04-05T17:60:00Z",
     "2018-04-05T17:31:61Z", "2018-04-05T17:31:00+24:00", "2018-04-05T17:31:00+01:60",
     "2018-04-05T17:31:00+0100", "2018-04-05T17:31:00.Z",
     "\u0662\u0660\u0661\u0668-04-05T17:31:00Z", "2018-04-05T17:31:00Zx"],
)  # fmt: skip
def test_what_is_no_timestamp_is_no_time(time: str) -> None:
    assert refused({"time": time}) == [("#/time", "format")]


@given(st.datetimes(), st.sampled_from(["Z", "+05:30", "-11:00"]))
def test_every_date_of_the_calendar_is_a_time(moment: Any, zone: str) -> None:
    assert read({"time": moment.isoformat() + zone}).attributes["time"]


def test_a_subject_must_not_be_empty() -> None:
    assert read({"subject": " "}).attributes["subject"] == " "
    assert refused({"subject": ""}) == [("#/subject", "minLength")]


@pytest.mark.parametrize("value", ["json", "", "a/b/c", "application/json; charset"])
def test_a_datacontenttype_is_a_media_type(value: str) -> None:
    assert refused({"datacontenttype": value}) == [("#/datacontenttype", "format")]


def test_json_data_is_utf_8() -> None:
    assert read({"datacontenttype": "application/json; charset=UTF-8", "data": 1}).data == 1
    assert refused({"datacontenttype": "application/json; charset=utf-16", "data": 1}) == [
        ("#/datacontenttype", "enum")
    ]
    assert read({"datacontenttype": "text/plain; charset=utf-16", "data": "x"}).data is NOT_JSON


@pytest.mark.parametrize("name", ["Upper", "with_underscore", "with-dash", "", "é", "a b", "a/b~c", "²"])
def test_attribute_names_are_lower_case_letters_and_digits(name: str) -> None:
    (pointer, keyword) = refused({name: "x"})[0]
    assert (pointer[:2], keyword) == ("#/", "name")


@pytest.mark.parametrize(
    ("value", "canonical"),
    [
        ("text", "text"),
        ("", ""),
        (True, "true"),
        (False, "false"),
        (0, "0"),
        (-(2**31), "-2147483648"),
        (2**31 - 1, "2147483647"),
    ],
)
def test_an_extension_becomes_its_canonical_string(value: Any, canonical: str) -> None:
    assert read({"ext1": value, "0": value}).attributes["ext1"] == canonical


@pytest.mark.parametrize("value", [2**31, -(2**31) - 1, 1.5, 1e3, {}, [], {"a": 1}])
def test_an_extension_of_another_type_is_refused(value: Any) -> None:
    assert refused({"ext": value}) == [("#/ext", "type")]


def test_null_is_unset() -> None:
    draft = read({"subject": None, "time": None, "dataschema": None, "datacontenttype": None, "ext": None})
    assert draft.attributes == MINIMAL


@pytest.mark.parametrize("value", ["\u0000", "a\nb", "\u007f", "\u0085", "\ufdd0", "\ufffe", "\U0010ffff"])
@pytest.mark.parametrize("name", ["id", "type", "subject", "ext"])
def test_what_the_string_type_forbids_is_refused(name: str, value: str) -> None:
    assert refused({name: value}) == [(f"#/{name}", "pattern")]


@pytest.mark.parametrize("value", ["Euro € 😀", "\u00a0", "\u200b", "\ue000", "\u0378"])
def test_all_other_characters_are_taken(value: str) -> None:
    assert read({"id": value, "subject": value}).attributes["id"] == value


def test_an_id_has_at_most_1024_characters() -> None:
    assert read({"id": "é" * 1024})
    assert refused({"id": "x" * 1025}) == [("#/id", "maxLength")]


def test_all_mistakes_are_listed_at_once_up_to_ten() -> None:
    assert len(refused({"id": "", "source": "a b", "specversion": "2", "time": "now", "Bad": 1})) == 5
    assert len(refused({f"ext_{n}": {} for n in range(10_000)})) == 10


def test_a_long_name_does_not_make_a_long_answer() -> None:
    assert len(refused({"x" * 100_000 + "_": 1})[0][0]) < 600


@pytest.mark.parametrize("body", [b"[]", b'"x"', b"1", b"null"])
def test_a_cloudevent_is_an_object(body: bytes) -> None:
    with pytest.raises(InvalidEvent, match="is an object"):
        structured(body, 64)


@pytest.mark.parametrize("separators", [(",", ":"), (", ", ": "), (" ,\n\t ", " : ")])
@pytest.mark.parametrize("name", ["id", "data", "data_base64", "ext", "type"])
def test_a_member_that_stands_twice_is_refused(name: str, separators: tuple[str, str]) -> None:
    event = MINIMAL | {"ext": 1, "data": {"id": 1}}
    event |= {"data_base64": None}
    text = json.dumps(event, separators=separators)
    for again in (f'"{name}"', '"' + "".join(f"\\u{ord(c):04x}" for c in name) + '"'):
        body = f"{{{again}{separators[1]}null{separators[0]}{text[1:]}".encode()
        with pytest.raises(InvalidEvent) as caught:
            structured(body, 64)
        assert (f"#/{name}", "uniqueItems") in places(caught.value)


@given(st.data())
def test_blanks_and_escapes_alone_never_make_a_member_stand_twice(data: st.DataObject) -> None:
    extensions = data.draw(st.dictionaries(st.text("abc", min_size=1), st.text('a"\\,:é', max_size=20), max_size=5))
    separators = data.draw(st.sampled_from([(",", ":"), (", ", ": "), (" ,\n ", " : ")]))
    event = {**extensions, **MINIMAL, "data": {"a": {"a": 1}, "id": "id"}}
    body = json.dumps(event, separators=separators, ensure_ascii=data.draw(st.booleans())).encode()
    assert structured(body, 64).attributes == extensions | MINIMAL


def test_repeated_names_inside_the_data_are_the_datas_matter() -> None:
    text = json.dumps(MINIMAL)[:-1] + ', "data": {"a": 1, "a": 2}}'
    assert structured(text.encode(), 64).data == {"a": 2}


@pytest.mark.parametrize("data", [{"a": [1, None]}, [], "text", 0, False, "", '{"not": "read again"}'])
@pytest.mark.parametrize("content_type", [None, "application/json", "text/json", "application/vnd.a+json; v=1"])
def test_data_is_a_json_value_where_the_type_is_json_or_absent(data: Any, content_type: str | None) -> None:
    assert read({"data": data, "datacontenttype": content_type}).data == data


def test_data_of_another_type_is_a_string() -> None:
    assert read({"data": '<much wow="xml"/>', "datacontenttype": "application/xml"}).data is NOT_JSON
    assert read({"data": None, "datacontenttype": "application/xml"}).data is None
    values: list[Any] = [{}, [], 1, True]
    for value in values:
        assert refused({"data": value, "datacontenttype": "application/xml"}) == [("#/data", "type")]


def test_base64_is_decoded_and_read_as_what_the_type_says() -> None:
    encoded = base64.b64encode(b'{"a": 1}').decode()
    assert read({"data_base64": encoded}).data is NOT_JSON
    assert read({"data_base64": encoded, "datacontenttype": "image/png"}).data is NOT_JSON
    assert read({"data_base64": encoded, "datacontenttype": "application/json"}).data == {"a": 1}
    assert read({"data_base64": encoded, "datacontenttype": "application/json", "data": None}).data == {"a": 1}
    assert read({"data_base64": None, "data": 5}).data == 5


@pytest.mark.parametrize(
    ("changes", "keyword"),
    [
        ({"data_base64": "QQ==", "data": 1}, "not"),
        ({"data_base64": 1}, "type"),
        ({"data_base64": {}}, "type"),
        ({"data_base64": "QQ"}, "format"),
        ({"data_base64": "Q Q=="}, "format"),
        ({"data_base64": "QQ-_"}, "format"),
        ({"data_base64": "é"}, "format"),
    ],
)
def test_base64_that_is_none_or_stands_beside_data_is_refused(changes: dict[str, Any], keyword: str) -> None:
    assert refused(changes) == [("#/data_base64", keyword)]


def test_json_in_base64_that_is_not_json_or_too_deep_is_refused() -> None:
    for data, code in ((b"{", Code.MALFORMED_EVENT), (b"[" * 65 + b"]" * 65, Code.NESTED_TOO_DEEP)):
        with pytest.raises(InvalidEvent, match="data_base64") as caught:
            read({"data_base64": base64.b64encode(data).decode(), "datacontenttype": "application/json"})
        assert caught.value.code is code


def test_the_id_of_a_refused_event_is_read_where_it_is_fit_to_be_shown() -> None:
    assert id_in_body(b'{"id": "A1", "specversion": "9"}') == "A1"
    unfit = [b"{", b"[]", b"{}", b'{"id": 1}', b'{"id": ""}', b'{"id": "a\\nb"}', b'{"id": "%s"}' % (b"x" * 2000)]
    for body in unfit:
        assert id_in_body(body) is None
    assert id_in_headers({"ce-id": "A%201"}) == "A 1"
    for header in ("", "%ff", "a%0a", "x" * 2000):
        assert id_in_headers({"ce-id": header}) is None
