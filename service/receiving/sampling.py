"""A look at events that are refused: some of them are logged, with what was wrong where, and their outline."""

import logging
import random
from time import monotonic
from typing import Any, Final

from service.codecs.outline import outline
from service.errors import IngestError

log = logging.getLogger(__name__)

MOST_A_SECOND: Final = 5
MOST_VALUE_CHARACTERS: Final = 1024


class Sampling:
    """Logs at most MOST_A_SECOND of the events that it is told of: an outline is read from the whole event."""

    def __init__(self, share: float, values: bool, rng: random.Random | None = None) -> None:
        """`share`: of refused events, above 0 up to 1. `values`: log what is in them too."""
        self._share = share
        self._values = values
        self._rng = rng or random.Random()
        self._second = 0
        self._told = 0

    def note(self, source: str, route: str, error: IngestError, body: bytes, request_id: str) -> None:
        """An event was refused. `route` is a configured name, or empty."""
        if self._rng.random() >= self._share:
            return
        second = int(monotonic())
        if second != self._second:
            self._second, self._told = second, 0
        if self._told >= MOST_A_SECOND:
            return
        self._told += 1
        fields: dict[str, Any] = {
            "source": source,
            "route": route,
            **({"request_id": request_id} if request_id else {}),
            "code": error.code.value,
            "event_bytes": len(body),
        }
        if errors := error.members.get("errors"):
            fields |= {name: errors[0].get(name) for name in ("pointer", "keyword")}
            fields["violations"] = len(errors)
        fields["outline"] = outline(body)
        if self._values:
            fields["detail"] = error.detail
            fields["value"] = body[:MOST_VALUE_CHARACTERS].decode(errors="replace")
        log.info("an event was refused", extra=fields)


def sampling(share: float, values: bool) -> Sampling | None:
    """None if nothing is to be logged: then nothing is looked at."""
    return Sampling(share, values) if share else None
