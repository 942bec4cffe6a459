"""What `penstock doctor` prints: lines for people, or JSON."""

from collections import Counter
from collections.abc import Sequence

import orjson

from service.doctor.collecting import Report
from service.finding import Finding, Level
from service.units import counted

_SHOWN = (Level.PROBLEM, Level.WARNING, Level.NOTE)


def as_text(reports: Sequence[Report]) -> str:
    """A block for each thing that was examined, a line for each finding, below it what to do; then the sum."""
    about = max((len(each.about) for report in reports for each in report.findings), default=0)
    blocks = ["\n".join([report.of, *(_line(each, about) for each in report.findings)]) for report in reports]
    return "\n\n".join([*blocks, _sum(reports)]) + "\n"


def _line(finding: Finding, about: int) -> str:
    line = f"  {finding.level:<8} {finding.about:<{about}}  {_flat(finding.found)}"
    return f"{line}\n  {'':<8} {'':<{about}}  do: {_flat(finding.do)}" if finding.do else line


def _flat(text: str) -> str:
    """On one line, and without what a terminal would obey: it may be somebody else's words."""
    return " ".join("".join(each if each.isprintable() else " " for each in text).split())


def _sum(reports: Sequence[Report]) -> str:
    counts = Counter(each.level for report in reports for each in report.findings)
    told = [counted(counts[level], level.value) for level in _SHOWN if counts[level]]
    return ", ".join(told) if told else "all is well"


def as_json(reports: Sequence[Report]) -> str:
    """One object: whether there are problems, and every finding."""
    findings = [
        {"of": report.of, "level": each.level, "about": each.about, "found": each.found, "do": each.do}
        for report in reports
        for each in report.findings
    ]
    document = {"problems": sum(problems(report) for report in reports), "findings": findings}
    return orjson.dumps(document, option=orjson.OPT_INDENT_2).decode() + "\n"


def problems(report: Report) -> int:
    """How many there are."""
    return sum(each.level is Level.PROBLEM for each in report.findings)
