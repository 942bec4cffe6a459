"""docs/extend.md shows the example as it is, and the example is as small as it is said to be."""

from pathlib import Path

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "custom_sink"


def test_the_sink_on_the_page_is_the_one_that_is_tested() -> None:
    code = (EXAMPLE / "webhook.py").read_text("utf-8")
    assert f"```python\n{code}```\n" in (ROOT / "docs" / "extend.md").read_text("utf-8")


def test_a_sink_is_a_screenful() -> None:
    assert (EXAMPLE / "webhook.py").read_text("utf-8").count("\n") <= 60
    assert (EXAMPLE / "README.md").read_text("utf-8").count("\n") <= 12
