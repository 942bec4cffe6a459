"""JSON Pointer: the examples of RFC 6901, and what a pointer may not be."""

from typing import Any

import pytest

from service.codecs.pointer import MISSING, Pointer, fragment

DOCUMENT = {"foo": ["bar", "baz"], "": 0, "a/b": 1, "c%d": 2, "e^f": 3, "g|h": 4, "i\\j": 5, 'k"l': 6, " ": 7, "m~n": 8}


@pytest.mark.parametrize(
    ("pointer", "value"),
    [
        ("", DOCUMENT),
        ("/foo", ["bar", "baz"]),
        ("/foo/0", "bar"),
        ("/", 0),
        ("/a~1b", 1),
        ("/c%d", 2),
        ("/e^f", 3),
        ("/g|h", 4),
        ("/i\\j", 5),
        ('/k"l', 6),
        ("/ ", 7),
        ("/m~0n", 8),
    ],
)
def test_the_examples_of_rfc_6901_hold(pointer: str, value: Any) -> None:
    assert Pointer(pointer).resolve(DOCUMENT) == value


@pytest.mark.parametrize(
    "pointer",
    ["/nope", "/foo/2", "/foo/-", "/foo/-1", "/foo/00", "/foo/\u0660", "/foo/bar", "/a~1b/x", "/foo/" + "9" * 5000],
)
def test_a_place_that_does_not_exist_is_missing(pointer: str) -> None:
    assert Pointer(pointer).resolve(DOCUMENT) is MISSING


def test_a_null_that_is_there_is_not_missing() -> None:
    assert Pointer("/a").resolve({"a": None}) is None


def test_escapes_are_undone_in_the_right_order() -> None:
    assert Pointer("/~01").resolve({"~1": "x"}) == "x"


@pytest.mark.parametrize(
    ("text", "hint"), [("a", "start with '/'"), ("#/a", "start with '/'"), ("/~", "'~0'"), ("/~2", "'~0'")]
)
def test_what_is_no_pointer_is_refused_with_the_rule(text: str, hint: str) -> None:
    with pytest.raises(ValueError, match=hint):
        Pointer(text)


def test_a_fragment_escapes_what_a_pointer_and_a_uri_escape() -> None:
    assert fragment([]) == "#"
    assert fragment(["customer", 0, "a/b~c", "é %"]) == "#/customer/0/a~1b~0c/%C3%A9%20%25"


def test_a_fragment_of_long_names_ends_early_at_a_whole_name() -> None:
    assert fragment(["a", "x" * 1_000_000, "b"]) == "#/a/..."
    assert len(fragment(["é" * 20] * 100)) <= 520
    assert fragment(["é" * 20] * 100).endswith("%C3%A9/...")
