"""What a scenario found: rows of a measured figure and its bound, printed as a table with a verdict."""

from msgspec import Struct


class Row(Struct, frozen=True):
    """One figure. `holds` is None where nothing is demanded."""

    what: str
    measured: str
    bound: str = ""
    holds: bool | None = None


class Report(Struct):
    """The rows of one scenario."""

    title: str
    rows: list[Row] = []

    def tell(self, what: str, measured: str) -> None:
        """Add a figure of which nothing is demanded."""
        self.rows.append(Row(what, measured))

    def at_least(self, what: str, value: float, bound: float, form: str = ".3g") -> None:
        """Add a figure that must not be below `bound`."""
        self.rows.append(Row(what, format(value, form), f">= {bound:{form}}", value >= bound))

    def at_most(self, what: str, value: float, bound: float, form: str = ".3g") -> None:
        """Add a figure that must not be above `bound`."""
        self.rows.append(Row(what, format(value, form), f"<= {bound:{form}}", value <= bound))

    @property
    def holds(self) -> bool:
        """Whether every bound holds."""
        return all(row.holds is not False for row in self.rows)

    def text(self) -> str:
        """The table."""
        verdicts = {True: "holds", False: "FAILS", None: ""}
        lines = [f"{self.title}\n"]
        lines += [f"  {row.what:<58}{row.measured:>14}  {row.bound:<14}{verdicts[row.holds]}" for row in self.rows]
        lines.append(f"\n  {'every bound holds' if self.holds else 'a bound FAILS'}")
        return "\n".join(line.rstrip() for line in lines)
