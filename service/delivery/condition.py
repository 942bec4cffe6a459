"""Whether a destination as a whole is in trouble: said once when it begins, once when it ends."""

import logging
from collections.abc import Sequence

from service.outcome import Reason, Retry

log = logging.getLogger(__name__)


class Condition:
    """What the last calls said of one destination."""

    __slots__ = ("_sink", "failures", "reason")

    def __init__(self, sink: str) -> None:
        self._sink = sink
        self.failures = 0
        """Calls in a row in which every event failed."""
        self.reason: Reason | None = None
        """Why the last of them failed; None if the destination works."""

    def note(self, events: int, failed: Sequence[Retry]) -> None:
        """A call with `events` has ended, with these failures."""
        if len(failed) == events:
            retry = failed[0]
            if not self.failures:
                fields = {"sink": self._sink, "reason": retry.reason.value, "detail": retry.detail}
                log.warning("the destination fails", extra=fields)
            self.failures += 1
            self.reason = retry.reason
        elif self.failures:
            log.info("the destination works again", extra={"sink": self._sink, "failed_calls": self.failures})
            self.failures = 0
            self.reason = None
