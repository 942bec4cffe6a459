"""Each attack in docs/hostile.md names tests that there are."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "hostile.md").read_text("utf-8")
NAMED = re.compile(r"`(tests/[\w/]+\.py|test_\w+)`")
ROW = re.compile(r"^\|(?! (?:a client|attack) |---).*\|$", re.MULTILINE)


def named(text: str) -> list[tuple[str, str]]:
    """Files and tests that a row names: a test is in the file that was named last."""
    found: list[tuple[str, str]] = []
    file = ""
    for name in NAMED.findall(text):
        if name.startswith("tests/"):
            file = name
        else:
            found.append((file, name))
    return found


@pytest.mark.parametrize("row", [row for row in ROW.findall(PAGE) if "shown by" not in row], ids=lambda row: row[:60])
def test_what_is_said_to_be_shown_is(row: str) -> None:
    tests = named(row)
    assert tests, "no test is named"
    for file, name in tests:
        assert re.search(rf"^(?:async )?def {name}\(", (ROOT / file).read_text("utf-8"), re.MULTILINE), (file, name)
