"""Whoever is woken finds the alarm in docs/runbook.md, and links between documents lead somewhere."""

import re
from itertools import pairwise
from pathlib import Path

import pytest

from service.cloudwatch.watches import WATCHES

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
RUNBOOK = (DOCS / "runbook.md").read_text("utf-8")
METRICS = (DOCS / "metrics.md").read_text("utf-8")
PAGES = sorted(
    [
        *ROOT.glob("*.md"),
        *DOCS.rglob("*.md"),
        *(ROOT / "deploy").rglob("*.md"),
        *(ROOT / "bench").glob("*.md"),
        *(ROOT / "examples").rglob("*.md"),
        ROOT / "helm" / "penstock" / "README.md",
    ]
)

HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
CODE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
ALERT = re.compile(r"^ *- alert: (\w+)", re.MULTILINE)


def sections(text: str) -> dict[str, str]:
    """What stands below each heading of the second order."""
    places = [(match[1], match.start()) for match in re.finditer(r"^## (.+)$", text, re.MULTILINE)]
    ends = [*pairwise(places), (places[-1], ("", len(text)))]
    return {name: text[start:end] for (name, start), (_, end) in ends}


def anchors(text: str) -> set[str]:
    """Where links may lead, as GitHub makes them of headings."""
    plain = [re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", match[1]) for match in HEADING.finditer(CODE.sub("", text))]
    made = {re.sub(r"[^\w\- ]", "", name.lower()).replace(" ", "-") for name in plain}
    return made | set(re.findall(r'<a id="([^"]+)"', text))


@pytest.mark.parametrize("name", [watch.name for watch in WATCHES])
def test_every_alarm_has_a_section_that_says_all_four_things(name: str) -> None:
    found = sections(RUNBOOK)[name]
    for row in ("producers", "look", "do", "over when"):
        assert re.search(rf"^\| {row} \| \S", found, re.MULTILINE), row


def test_every_rule_for_prometheus_is_in_a_section() -> None:
    rules = ALERT.findall(METRICS)
    assert len(rules) > 10
    assert [rule for rule in rules if f"`{rule}`" not in RUNBOOK] == []
    assert set(re.findall(r"`(Penstock\w+)`", RUNBOOK)) <= set(rules)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_between_documents_lead_somewhere(page: Path) -> None:
    broken = []
    for target in LINK.findall(CODE.sub("", page.read_text("utf-8"))):
        if "://" in target or target.startswith("mailto:"):
            continue
        name, _, anchor = target.partition("#")
        file = (page.parent / name).resolve() if name else page
        if not file.exists() or (anchor and file.suffix == ".md" and anchor not in anchors(file.read_text("utf-8"))):
            broken.append(target)
    assert broken == []
