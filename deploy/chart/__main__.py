"""`python -m deploy.chart`: write the README and the rules of the chart."""

from deploy.chart.readme import CHART, readme
from deploy.chart.rules import RULES, rules


def main() -> None:
    """Write both."""
    (CHART / "README.md").write_text(readme(), "utf-8")
    RULES.write_text(rules(), "utf-8")


if __name__ == "__main__":
    main()
