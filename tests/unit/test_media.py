"""Media types."""

import re

import pytest

from service.codecs import attributes, cloudevents, media, pointer, selector
from service.codecs.media import is_json, parse
from service.errors import Code, Unreadable
from tests.unit.backtracking import TooManySteps, steps


@pytest.mark.parametrize(
    ("value", "essence", "charset"),
    [
        ("application/json", "application/json", None),
        ("Application/JSON;Charset=UTF-8", "application/json", "utf-8"),
        (' text/plain ; a="x;y\\"" ; charset="Utf\\-8" ', "text/plain", "utf-8"),
        ("application/json;", "application/json", None),
        ("application/json; ;charset=utf-8", "application/json", "utf-8"),
        ("application/vnd.a+json; profile=charset", "application/vnd.a+json", None),
    ],
)
def test_essence_and_charset_are_read(value: str, essence: str, charset: str | None) -> None:
    assert (parse(value).essence, parse(value).charset) == (essence, charset)


@pytest.mark.parametrize(
    "value",
    [
        "",
        "json",
        "/json",
        "application/",
        "application json",
        "application/json charset=utf-8",
        "application/json, text/plain",
        "application/json\n",
        "application/json; charset",
        "application/json; charset=",
        "application/json; charset =utf-8",
        'application/json; charset="utf-8',
        "application/json; charset=utf-8; charset=utf-16",
        "application/\u00e9",
        "a" * 1000,
    ],
)
def test_what_is_no_media_type_is_refused(value: str) -> None:
    with pytest.raises(Unreadable, match="Content-Type: ") as caught:
        parse(value)
    assert caught.value.code is Code.MALFORMED_HEADER


@pytest.mark.parametrize("value", ["application/json", "text/json; charset=utf-8", "application/A+JSON ;x=y", "x/json"])
def test_json_is_known_by_its_subtype(value: str) -> None:
    assert is_json(value)
    assert parse(value).is_json


@pytest.mark.parametrize(
    "value", ["application/jsonl", "text/plain; a=application/json", "json", "", "application/json-seq"]
)
def test_other_types_are_not_json(value: str) -> None:
    assert not is_json(value)


PATTERNS = {
    f"{module.__name__.rpartition('.')[2]}.{name}": pattern
    for module in (attributes, cloudevents, media, pointer, selector)
    for name, pattern in vars(module).items()
    if isinstance(pattern, re.Pattern)
}
SEEDS = [
    *'a/:%@;=.0"\\ \t[?#~',
    "a:",
    "//",
    "/a",
    "%41",
    "\\a",
    '\\"',
    ";a=b",
    "; ",
    "; a=",
    '="',
    'a="',
    "0.",
    "[:",
    ";\t",
]
HEADS = ["", '"', "a/b", 'a/b;a="', "//", "a:", "//[", "http://", "2026-01-31T12:00:00.", "\\"]


@pytest.mark.parametrize("pattern", PATTERNS.values(), ids=PATTERNS)
def test_patterns_take_steps_in_proportion_to_what_they_read(pattern: re.Pattern[str]) -> None:
    for head in HEADS:
        for seed in SEEDS:
            text = head + (seed * 60)[:60] + "\x00"
            steps(pattern, text, most=12 * len(text) + 60)


@pytest.mark.parametrize("pattern", [r"(a+)+\Z", r"(?:a|a)*\Z", r"a*a*a*\Z"])
def test_the_count_of_steps_sees_a_pattern_that_is_not_linear(pattern: str) -> None:
    with pytest.raises(TooManySteps):
        steps(re.compile(pattern), "a" * 60 + "\x00", most=12 * 61 + 60)


def test_long_hostile_values_are_read() -> None:
    for seed in SEEDS:
        with pytest.raises(Unreadable):
            parse("a/b;" + seed * 500_000 + "\x00")
