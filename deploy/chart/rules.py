"""The rules of `docs/metrics.md`, as the chart has them: one text for both."""

from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
PAGE: Final = ROOT / "docs" / "metrics.md"
RULES: Final = ROOT / "helm" / "penstock" / "files" / "rules.yaml"


def rules() -> str:
    """The block of YAML below "Alarms worth having"."""
    section = PAGE.read_text("utf-8").partition("\n## Alarms worth having\n")[2]
    return section.partition("```yaml\n")[2].partition("```\n")[0]
