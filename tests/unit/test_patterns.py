"""How large a pattern is."""

import pytest

from service.schemas.patterns import size


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("", 1),
        ("^abc$", 3),
        ("a*b+c?", 3),
        (r"\d\.", 2),
        ("[a-z{2}]", 1),
        (r"[\]]x", 2),
        ("a{3}", 3),
        ("a{3,}", 3),
        ("a{2,5}b", 6),
        ("a{0}b", 2),
        (r"\{3}", 3),
        ("^[0-9]{4}-[0-9]{2}-[0-9]{2}$", 10),
        ("(a{1,1000}){1,9}b", 9001),
        ("((ab){2}c){3}|d", 16),
        ("(a|bc){10}", 30),
        ("a{99999999999}", 99_999_999_999),
        (")(", 1),
    ],
)
def test_a_pattern_is_as_large_as_what_its_repetitions_stand_for(pattern: str, expected: int) -> None:
    assert size(pattern) == expected
