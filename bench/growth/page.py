"""bench/GROWTH.md and its plots: the last accepted run of `python -m bench.growth --write`."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench import grid, results
from bench.growth import figures, plots
from bench.growth.figures import Growth, Minutes
from deploy.local.child import ROOT

FILE = ROOT / "bench" / "GROWTH.md"


def drawn(pyplot: Any, growths: Sequence[Growth], minutes: Minutes, arguments: Sequence[str]) -> str:
    """The text of the file, once the plots are drawn beside it."""
    return page(growths, minutes, plots.draw(pyplot, growths, minutes, FILE.parent / "plots"), arguments)


def page(growths: Sequence[Growth], minutes: Minutes, drawn: Sequence[Path], arguments: Sequence[str]) -> str:
    """The text of the file."""
    held = [f"- {growth.axis.title}: {growth.axis.equal}" for growth in growths]
    return results.page(
        "What an event costs as the service grows",
        "bench.growth",
        arguments,
        [
            "Ratios hold on other machines.",
            "",
            *(f"- {verdict}" for verdict in figures.verdicts(growths, minutes)),
            "",
            grid.markdown(figures.HEAD, [row for growth in growths for row in figures.cells(growth)]),
            "",
            "Equal at all sizes:",
            "",
            *held,
            "",
            *(f"![{file.stem}](plots/{file.name})" for file in drawn),
            "",
            grid.markdown(figures.MINUTES_HEAD, figures.minute_cells(minutes)),
        ],
    )
