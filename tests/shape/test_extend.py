"""docs/extend.md shows the examples as they are, and they are as small as they are said to be."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "custom_sink"
SOURCE = ROOT / "examples" / "custom_source"


def test_the_sink_on_the_page_is_the_one_that_is_tested() -> None:
    code = (EXAMPLE / "webhook.py").read_text("utf-8")
    assert f"```python\n{code}```\n" in (ROOT / "docs" / "extend.md").read_text("utf-8")


def test_a_sink_is_a_screenful() -> None:
    assert (EXAMPLE / "webhook.py").read_text("utf-8").count("\n") <= 60
    assert (EXAMPLE / "README.md").read_text("utf-8").count("\n") <= 12


def test_what_the_page_shows_of_a_source_is_of_the_one_that_is_tested() -> None:
    section = (ROOT / "docs" / "extend.md").read_text("utf-8").partition("\n## A source\n")[2]
    shown = re.findall(r"```python\n(.*?)```", section, re.DOTALL)
    parts = [part for block in shown for part in _flush(block).split("\n\n")]
    code = _flush((SOURCE / "folder.py").read_text("utf-8"))
    assert len(parts) > 1
    assert [part for part in parts if part not in code] == []


def _flush(code: str) -> str:
    """Without indentation, headings of classes, and blank lines at its ends."""
    return re.sub(r"^ *(class .*\n)?", "", code, flags=re.MULTILINE).strip("\n")


def test_a_source_is_two_screenfuls() -> None:
    assert (SOURCE / "folder.py").read_text("utf-8").count("\n") <= 140
    assert (SOURCE / "README.md").read_text("utf-8").count("\n") <= 12
