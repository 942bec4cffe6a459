"""docs/metrics.md and the code say the same of each reason: what to do next."""

import re
from pathlib import Path

from service.delivery import remedies
from service.delivery.remedies import REMEDIES
from service.outcome import Reason

PAGE = Path(__file__).parents[2] / "docs" / "metrics.md"


def _plain(cell: str) -> str:
    """Markdown as it is read: no back quotes, of links their text."""
    return re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", cell).replace("`", "").strip()


def _documented() -> dict[str, str]:
    table = PAGE.read_text("utf-8").partition("| reason | the destination | do |")[2].partition("\n\n")[0]
    found: dict[str, str] = {}
    for line in table.strip().splitlines()[1:]:
        names, _, do = [cell.strip() for cell in line.strip("|").split("|")]
        for name in re.findall(r"`(\w+)`", names):
            found[name] = _plain(do)
    return found


def test_every_reason_has_a_remedy_and_the_page_says_the_same() -> None:
    assert set(REMEDIES) == set(Reason)
    assert _documented() == {reason.value: remedy for reason, remedy in REMEDIES.items()}


def test_every_remedy_is_a_sentence_and_short() -> None:
    others = [value for name, value in vars(remedies).items() if name.isupper() and isinstance(value, str)]
    assert len(others) >= 5
    for remedy in (*REMEDIES.values(), *others):
        assert re.fullmatch(r"[A-Z][^\n]{5,110}\.", remedy), remedy
