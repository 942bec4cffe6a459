"""The plots of growth, as SVG: small, with text as text, and the same for the same figures."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.growth.figures import MOST_GROWTH, Growth, Minutes
from bench.program import Missing

INCHES = (6.4, 3.2)
_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "penstock",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
}
_BOUND = {"color": "tab:red", "linestyle": "--", "linewidth": 0.8}


def drawing() -> Any:
    """matplotlib's pyplot, which draws to files. Raises Missing."""
    try:
        import matplotlib
    except ImportError as error:
        raise Missing(
            "Plots need matplotlib, which `make growth` installs, as does: "
            ".venv/bin/python -m pip install --require-hashes -r requirements/bench.txt"
        ) from error
    matplotlib.use("svg")
    matplotlib.rcParams.update(_STYLE)
    from matplotlib import pyplot

    return pyplot


def draw(pyplot: Any, growths: Sequence[Growth], minutes: Minutes | None, folder: Path) -> list[Path]:
    """Write a file for each axis, and one for the minutes; what failed has none."""
    folder.mkdir(exist_ok=True)
    written = [_axis(pyplot, growth, folder) for growth in growths if not growth.failure]
    if minutes is not None and minutes.minutes:
        written.append(_minutes(pyplot, minutes, folder))
    return written


def _axis(pyplot: Any, growth: Growth, folder: Path) -> Path:
    figure, axes = pyplot.subplots(figsize=INCHES, layout="constrained")
    places = range(len(growth.sizes))  # evenly: sizes are as far apart as ten is from five thousand
    axes.plot(places, [growth.ratio(size) for size in growth.sizes], marker="o")
    axes.set_xticks(places, [f"{size:,}" for size in growth.sizes])
    axes.set_xlabel(growth.axis.title)
    axes.set_ylabel("CPU per event, x smallest")
    axes.axhline(1 + MOST_GROWTH, label="bound", **_BOUND)
    axes.set_ylim(bottom=0)
    axes.legend(frameon=False, loc="lower right")
    return _saved(pyplot, figure, folder / f"{growth.axis.name}.svg")


def _minutes(pyplot: Any, found: Minutes, folder: Path) -> Path:
    figure, axes = pyplot.subplots(figsize=INCHES, layout="constrained")
    at = range(len(found.minutes))
    numbers = [index + 1 for index in at]
    axes.plot(numbers, [found.ratio(index) for index in at], label="CPU per event")
    axes.plot(numbers, [found.memory_ratio(index) for index in at], label="resident memory")
    axes.axhline(1 + MOST_GROWTH, label="bound", **_BOUND)
    axes.set_xlabel("minute")
    axes.set_ylabel("x first minute")
    axes.set_ylim(bottom=0)
    axes.legend(frameon=False, loc="lower right")
    return _saved(pyplot, figure, folder / "minutes.svg")


def _saved(pyplot: Any, figure: Any, file: Path) -> Path:
    figure.savefig(file, metadata={"Date": None, "Creator": None})
    pyplot.close(figure)
    # matplotlib leaves blanks at the ends of lines
    lines = [line.rstrip() for line in file.read_text("utf-8").splitlines()]
    file.write_text("\n".join(lines) + "\n", "utf-8")
    return file
