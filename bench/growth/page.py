"""bench/GROWTH.md and its plots: the last accepted run of `python -m bench.growth --write`."""

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench import grid
from bench.growth import figures, plots
from bench.growth.figures import Growth, Minutes
from bench.results import heading, versions
from deploy.local.child import ROOT

FILE = ROOT / "bench" / "GROWTH.md"


def write(
    pyplot: Any, growths: Sequence[Growth], minutes: Minutes, arguments: Sequence[str], file: Path = FILE
) -> list[Path]:
    """Write the page, and the plots into `plots` beside it. Returns the files."""
    drawn = plots.draw(pyplot, growths, minutes, file.parent / "plots")
    file.write_text(page(growths, minutes, drawn, arguments), "utf-8")
    return [file, *drawn]


def page(growths: Sequence[Growth], minutes: Minutes, drawn: Sequence[Path], arguments: Sequence[str]) -> str:
    """The text of the file."""
    command = shlex.join(["python", "-m", "bench.growth", *arguments])
    held = [f"- {growth.axis.title}: {growth.axis.equal}" for growth in growths]
    return "\n".join(
        [
            *heading("What an event costs as the service grows", command),
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
            "",
            *versions(),
            "",
        ]
    )
