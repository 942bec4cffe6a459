"""What was found of journals, for a person and for a program."""

from collections.abc import Mapping, Sequence
from typing import Any

from service.journal.inspection import Survey
from service.journal.verification import Finding
from service.units import counted

_COLUMNS = ("ROUTE", "SINK", "EVENTS", "OLDEST")
_UNITS = (("d", 86400), ("h", 3600), ("m", 60), ("s", 1))
_SIZES = (("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10))


def text(found: Survey, troubles: Sequence[str]) -> str:
    """A folder in a few lines."""
    user = f"used by process {found.holder}" if found.holder is not None else "not in use"
    lines = [
        f"{found.folder}: {user}; {size(found.used_bytes)} used, {size(found.free_bytes)} of the disk free"
        + (f"; the oldest is {age(found.oldest_seconds)} old" if found.events else "; nothing waits")
    ]
    if found.waiting:
        rows = [_COLUMNS, *((w.route, w.sink, str(w.events), age(w.oldest_seconds)) for w in found.waiting)]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines += ["  " + "  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join([*lines, *(f"  {each}" for each in troubles)])


def members(found: Survey, troubles: Sequence[str], orphans: Sequence[bool]) -> Mapping[str, Any]:
    """The same for a program. `orphans`: of what waits, in that order, whether nothing brings it anywhere."""
    return {
        "folder": str(found.folder),
        "worker": found.worker,
        "pid": int(found.holder) if found.holder else None,
        "used_bytes": found.used_bytes,
        "free_bytes": found.free_bytes,
        "oldest_seconds": round(found.oldest_seconds, 3),
        "waiting": [
            {
                "route": waiting.route,
                "sink": waiting.sink,
                "events": waiting.events,
                "oldest_seconds": round(waiting.oldest_seconds, 3),
                "orphan": orphan,
            }
            for waiting, orphan in zip(found.waiting, orphans, strict=True)
        ],
        "troubles": list(troubles),
    }


def verdict(folder: str, finding: Finding) -> str:
    """What was found in one file, in a few lines."""
    can = f"{counted(finding.events, 'event')} in {counted(finding.rows, 'row')} can be read"
    if finding.sound:
        return f"{folder}: sound; {can}"
    cannot = f"{counted(finding.damaged_events, 'event')} in {counted(finding.damaged_rows, 'row')} cannot"
    return "\n".join([f"{folder}: DAMAGED; {can}, {cannot}", *(f"  {each}" for each in finding.mistakes)])


def age(seconds: float) -> str:
    """About how long: `3d`, `7h`, `12m`, `0s`."""
    unit, length = next(((unit, length) for unit, length in _UNITS if seconds >= length), _UNITS[-1])
    return f"{int(seconds // length)}{unit}"


def size(count: int) -> str:
    """About how much: `1.5GiB`, `56.0KiB`, `17B`."""
    unit, length = next(((unit, length) for unit, length in _SIZES if count >= length), ("B", 1))
    return f"{count / length:.1f}{unit}" if length > 1 else f"{count}B"
