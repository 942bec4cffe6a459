"""The dashboards of one service as CloudWatch wants them ("Dashboard body structure and syntax", its API reference).

Bounded: a graph has at most `MOST_LINES` subjects and goes on in the next one; what does not fit one dashboard goes
into another.
"""

import json
from collections.abc import Iterator, Sequence
from typing import Any

from msgspec import Struct

from service.cloudwatch.alarms import Alarm, percentage
from service.cloudwatch.graphs import ROWS, Graph, Row
from service.cloudwatch.totals import NO_ROUTE
from service.cloudwatch.watched import Watched

WIDTH = 24
MOST_METRICS = 2500
"""In one dashboard, those that expressions take among them; 500 in one graph ("CloudWatch service quotas")."""
MOST_WIDGETS = 500
"""In one dashboard (the same page)."""
MOST_ALARMS = 100
"""In one widget of alarms ("Dashboard body structure and syntax")."""
MOST_LINES = 25
"""Subjects of one graph: more cannot be told from each other."""

_HEIGHT = 6
_HEADING_HEIGHT = 2
_ALARM_HEIGHT = 4

Widget = dict[str, Any]


class Band(Struct, frozen=True):
    """Widgets side by side, and how high they are; stays together."""

    height: int
    widgets: Sequence[Widget]
    heading: str = ""
    """Of its row, in Markdown; shown above the first band of a row, and of a dashboard."""

    @property
    def metrics(self) -> int:
        """How many it retrieves."""
        return sum(len(widget["properties"].get("metrics", ())) for widget in self.widgets)


def dashboards(watched: Watched, alarms: Sequence[Alarm]) -> list[str]:
    """Bodies in JSON, a widget a line, with `${...}` for `Fn::Sub` to fill in."""
    pages: list[list[Band]] = [[]]
    for band in (*_alarm_bands(alarms), *_metric_bands(watched)):
        metrics = sum(each.metrics for each in pages[-1]) + band.metrics
        widgets = sum(len(each.widgets) + 1 for each in pages[-1]) + len(band.widgets) + 1
        if metrics > MOST_METRICS or widgets > MOST_WIDGETS:
            pages.append([])
        pages[-1].append(band)
    return [_body(page) for page in pages]


def _metric_bands(watched: Watched) -> Iterator[Band]:
    for row in ROWS:
        for widgets in _side_by_side(row, watched):
            yield Band(_HEIGHT, widgets, f"## {row.question}\n{row.hint}")


def _alarm_bands(alarms: Sequence[Alarm]) -> Iterator[Band]:
    for start in range(0, len(alarms), MOST_ALARMS):
        arns = [f"${{{alarm.logical_id}.Arn}}" for alarm in alarms[start : start + MOST_ALARMS]]
        lines = -(-len(arns) // 6)
        shown = {"title": "Alarms", "sortBy": "stateUpdatedTimestamp", "alarms": arns}
        widget = {"type": "alarm", "width": WIDTH, "properties": shown}
        yield Band(max(_ALARM_HEIGHT, lines), [widget])


def _side_by_side(row: Row, watched: Watched) -> Iterator[list[Widget]]:
    """The graphs of a row, as often as its longest list of subjects needs."""
    shown = [(graph, _subjects(graph, watched)) for graph in row.graphs]
    shown = [(graph, subjects) for graph, subjects in shown if subjects]
    for start in range(0, max((len(subjects) for _, subjects in shown), default=0), MOST_LINES):
        parts = [(graph, subjects[start : start + MOST_LINES]) for graph, subjects in shown]
        parts = [(graph, subjects) for graph, subjects in parts if subjects]
        width = WIDTH // len(parts)
        yield [_graph(graph, subjects, watched) | {"width": width} for graph, subjects in parts]


def _subjects(graph: Graph, watched: Watched) -> Sequence[str]:
    subjects = watched.subjects_of(graph.metrics[0])
    if graph.strays:
        return [*subjects, NO_ROUTE]
    return [each for each in subjects if watched.sinks[each].records] if graph.records else subjects


def _graph(graph: Graph, subjects: Sequence[str], watched: Watched) -> Widget:
    if graph.share is None:
        lines = [
            _line(metric, subject, watched, _options(graph, metric, subject, statistic))
            for metric in graph.metrics
            for subject in subjects
            for statistic in graph.statistics
        ]
    else:
        lines = list(_shares(graph.metrics[0], graph.share, subjects, watched))
    return {
        "type": "metric",
        "properties": {
            "title": graph.title,
            "region": "${AWS::Region}",
            "period": watched.period,
            "stat": graph.statistics[0],
            "yAxis": {"left": {"min": 0}},
            "metrics": _shortened(lines),
        },
    }


def _options(graph: Graph, metric: str, subject: str, statistic: str) -> dict[str, Any]:
    """What the line is called, and how its metric is taken where that is not the graph's own."""
    words = [subject or "service"]
    words += [metric] if len(graph.metrics) > 1 else []
    words += [statistic] if len(graph.statistics) > 1 else []
    own = {"stat": statistic} if statistic != graph.statistics[0] else {}
    return {"label": " ".join(words), **own}


def _line(metric: str, subject: str, watched: Watched, options: dict[str, Any]) -> list[Any]:
    pairs = watched.dimensions(metric, subject).items()
    return [*map(_literal, (watched.namespace, metric, *(part for pair in pairs for part in pair))), options]


def _literal(text: str) -> str:
    """As `Fn::Sub` leaves it alone."""
    return text.replace("${", "${!")


def _shares(part: str, whole: tuple[str, str], subjects: Sequence[str], watched: Watched) -> Iterator[list[Any]]:
    """A line that is computed for each subject, and the hidden ones that these are computed from."""
    letters = dict(zip("abc", (part, *whole), strict=True))
    for number, subject in enumerate(subjects):
        first, *rest = (f"{letter}{number}" for letter in letters)
        yield [{"expression": percentage(first, rest), "label": subject, "id": f"share{number}"}]
    for letter, metric in letters.items():
        for number, subject in enumerate(subjects):
            yield _line(metric, subject, watched, {"id": f"{letter}{number}", "visible": False})


def _shortened(lines: Sequence[list[Any]]) -> list[list[Any]]:
    """The same with `...` for what each has in common with the one before, but for its last dimension."""
    result: list[list[Any]] = []
    before: list[Any] = []
    for line in lines:
        *same, _, _ = line if len(line) > 1 else (None, None)  # an expression stands alone
        result.append(["...", *line[-2:]] if same and same == before else line)
        before = same
    return result


def _body(page: Sequence[Band]) -> str:
    lines = []
    top = 0
    heading = ""
    for band in page:
        if band.heading != heading:
            heading = band.heading
            lines.append(_placed("text", 0, top, WIDTH, _HEADING_HEIGHT, {"markdown": heading}))
            top += _HEADING_HEIGHT
        left = 0
        for widget in band.widgets:
            lines.append(_placed(widget["type"], left, top, widget["width"], band.height, widget["properties"]))
            left += widget["width"]
        top += band.height
    return '{"start": "-PT3H", "widgets": [\n' + ",\n".join(lines) + "\n]}\n"


def _placed(kind: str, x: int, y: int, width: int, height: int, properties: dict[str, Any]) -> str:
    place = {"type": kind, "x": x, "y": y, "width": width, "height": height}
    return json.dumps({**place, "properties": properties}, separators=(",", ":"))
