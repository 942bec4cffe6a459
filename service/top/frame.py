"""One frame of `penstock top`: a status, and what happened since the one before, as text for a terminal.

It fits in 80 columns, and says in words what it says in colours.
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from service.top import figures
from service.top.rates import rates

STYLES: Final = {"healthy": "green", "throttled": "yellow", "slow": "yellow"}
BAD: Final = "bold red"
_SUBJECTS: Final = ("loop", "journal", "sink", "source", "worker")
_MOST_TROUBLES: Final = 20

Status = Mapping[str, Any]


def healthy(status: Status) -> bool:
    """Whether it serves, and nothing is wrong."""
    return status["phase"] == "serving" and not status["troubles"] and bool(status["conservation"]["balanced"])


def frame(status: Status, before: Status | None, seconds: float, now: datetime | None = None) -> RenderableType:
    """All there is to see. `before`: the status of so many seconds ago."""
    parts: list[RenderableType] = [_head(status)]
    parts += _troubles(status["troubles"], now or datetime.now(UTC))
    parts.append(_lanes(status["lanes"], before["lanes"] if before is not None else {}, seconds))
    if status.get("sources") or status["http"]["received"]:
        parts.append(_sources(status, before, seconds))
    if "journal" in status:
        parts.append(_journal(status["journal"]))
    return Group(*(Padding(part, (0, 0, 1, 0)) for part in parts[:-1]), parts[-1])


def _head(status: Status) -> Text:
    configuration = status["configuration"]
    text = Text(f"penstock {_plain(status['version'])}  ")
    text.append(_plain(status["phase"]), STYLES["healthy"] if status["phase"] == "serving" else BAD)
    text.append(f"  up {figures.seconds(status['uptime_seconds'])}")
    text.append(f"  loop {figures.seconds(status['loop']['worst_lag_seconds'])}  ")
    if status["conservation"]["balanced"]:
        text.append("books balance")
    else:
        off = status["conservation"]["off"][0]
        where = f"{_plain(off['route'])} -> {_plain(off['where'])}"
        text.append(f"\nBOOKS DO NOT BALANCE: {off['events']} events, {where}", BAD)
    origin = _plain(configuration["origin"] or "built-in configuration")
    text.append(f"\n{origin} {_plain(configuration['digest'])}")
    if workers := status.get("workers"):
        serving = sum(worker["state"] == "serving" for worker in workers)
        text.append(f"  {serving} of {len(workers)} workers serve", "" if serving == len(workers) else BAD)
    return text


def _troubles(troubles: Iterable[Mapping[str, Any]], now: datetime) -> list[RenderableType]:
    """Each in two lines or three: what it is about, since when and why; what to do."""
    told = list(troubles)
    if not told:
        return []
    lines: list[RenderableType] = []
    for trouble in told[:_MOST_TROUBLES]:
        subject = next(name for name in _SUBJECTS if name in trouble)
        named = "" if subject in ("loop", "journal") else f" {_plain(trouble[subject])}"
        of = f" (worker {trouble['worker']})" if "worker" in trouble and subject != "worker" else ""
        line = Text(f"{subject}{named}{of} ")
        line.append(_plain(trouble["state"]), STYLES.get(trouble["state"], BAD))
        if "since" in trouble:
            line.append(f" for {figures.seconds(_age(trouble['since'], now))}")
        why = trouble[subject] if subject in ("loop", "journal") else trouble.get("reason")
        if why and why != trouble["state"]:
            line.append(f": {_plain(why)}")
        lines.append(line)
        if "do" in trouble:
            lines.append(Padding(Text(_plain(trouble["do"])), (0, 0, 0, 2)))
    if len(told) > _MOST_TROUBLES:
        lines.append(Text(f"... and {len(told) - _MOST_TROUBLES} more"))
    return [Group(*lines)]


def _lanes(lanes: Mapping[str, Any], before: Mapping[str, Any], seconds: float) -> Table:
    table = _table("lane", "state", "in/s", "out/s", "retry/s", "held", "oldest", "calls", "p99")
    for name, lane in lanes.items():
        per_second = rates(lane, before.get(name), seconds)
        table.add_row(
            _plain(name),
            Text(_plain(lane["state"]), STYLES.get(lane["state"], BAD)),
            figures.rate(per_second.received),
            figures.rate(per_second.delivered),
            figures.rate(per_second.retried),
            figures.count(lane["held_events"]),
            figures.seconds(lane["oldest_seconds"]),
            f"{lane['calls_in_flight']}/{lane['calls_limit']}",
            figures.seconds(lane["last_minute"]["p99_seconds"]),
        )
    return table


def _sources(status: Status, before: Status | None, seconds: float) -> Table:
    table = _table("source", "state", "in/s", "refused/s", "lag", "waiting", "unsettled", "paused")
    of_http = rates(status["http"], before["http"] if before is not None else None, seconds)
    table.add_row(
        "http",
        Text("healthy", STYLES["healthy"]),
        figures.rate(of_http.received),
        figures.rate(of_http.refused),
        figures.UNKNOWN,
        figures.UNKNOWN,
        figures.count(status["http"]["requests_open"]),
        figures.UNKNOWN,
    )
    earlier = (before or {}).get("sources", {})
    for name, source in status.get("sources", {}).items():
        per_second = rates(source, earlier.get(name), seconds)
        state = "failing" if source["trouble"] else "healthy"
        table.add_row(
            _plain(name),
            Text(state, STYLES.get(state, BAD)),
            figures.rate(per_second.received),
            figures.rate(per_second.refused),
            figures.count(source["lag"]),
            figures.count(source["waiting_messages"]),
            figures.count(source["unsettled_messages"]),
            f"{source['paused']}/{source['partitions']}",
        )
    return table


def _journal(journal: Mapping[str, Any]) -> Text:
    share = journal["used_bytes"] / journal["max_bytes"] if journal["max_bytes"] else 0.0
    waiting = sum(each["events"] for each in journal["waiting"])
    text = Text("journal ")
    text.append("takes nothing" if journal["trouble"] else "healthy", BAD if journal["trouble"] else STYLES["healthy"])
    text.append(f"  {share:.0%} of {figures.size(journal['max_bytes'])}  {figures.size(journal['free_bytes'])} free")
    return text.append(f"  {figures.count(waiting)} events wait, oldest {figures.seconds(journal['oldest_seconds'])}")


def _table(first: str, second: str, *figures_: str) -> Table:
    """Words to the left, figures to the right; names give way where the terminal is narrow."""
    table = Table(box=None, padding=(0, 1, 0, 0), header_style="bold")
    table.add_column(first, overflow="ellipsis", min_width=8, max_width=28)
    table.add_column(second, no_wrap=True, min_width=9)
    for each in figures_:
        table.add_column(each, justify="right", no_wrap=True, min_width=6)
    return table


def _plain(value: object) -> str:
    """Words of others without what a terminal would obey."""
    return "".join([each if each.isprintable() else "?" for each in str(value)])


def _age(since: str, now: datetime) -> float:
    return max((now - datetime.fromisoformat(since)).total_seconds(), 0.0)
