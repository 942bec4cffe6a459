"""Which dead letters are meant: by event, route, reason, the sink that refused, and time."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from service.dlq.letter import Letter
from service.units import parse_duration


@dataclass(frozen=True, slots=True)
class Selection:
    """What is set must hold; what is None is not asked."""

    id: str | None = None
    """The event's id, or the letter's own, `ID/SINK`."""
    route: str | None = None
    reason: str | None = None
    refused_by: str | None = None
    """Name of the sink that did not take the event; `invalid` for events that the route refused."""
    since: datetime | None = None
    """Dead-lettered then or later."""
    until: datetime | None = None
    """Dead-lettered before."""

    def takes(self, letter: Letter) -> bool:
        """Whether this letter is meant."""
        return (
            (self.id is None or self.id in (letter.id, letter.name))
            and (self.route is None or self.route == letter.route)
            and (self.reason is None or self.reason == letter.reason)
            and (self.refused_by is None or self.refused_by == (letter.sink or "invalid"))
            and (self.since is None or letter.dead_lettered_at >= self.since)
            and (self.until is None or letter.dead_lettered_at < self.until)
        )


def moment(text: str, now: datetime) -> datetime:
    """The time that `text` means: RFC 3339, or how long ago it was (`90m`). Raises ValueError, saying what to write."""
    try:
        return now - timedelta(seconds=parse_duration(text))
    except (ValueError, OverflowError):
        pass
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(
            f"{text!r} is no time: write how long ago, such as 90m, 1h or 2d, or RFC 3339, such as 2026-01-31T12:00:00Z"
        ) from None
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)
