"""What is wrong between us and a queue, in words: by what was asked of it, until that works again."""

import logging
from typing import Final

log = logging.getLogger(__name__)

RECEIVING: Final = "receive"
DELETING: Final = "delete"
HIDING: Final = "change visibility"


class Condition:
    """Logs once when something begins to be wrong, and once when nothing is any more."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._troubles: dict[str, str] = {}

    @property
    def trouble(self) -> str | None:
        """What is wrong; None if nothing is."""
        return next(iter(self._troubles.values()), None)

    def fails(self, asked: str, trouble: str) -> None:
        """This does not work now."""
        first = asked not in self._troubles
        self._troubles[asked] = trouble
        if first:
            log.warning("a source cannot go on", extra={"source": self._name, "asked": asked, "detail": trouble})

    def works(self, asked: str) -> None:
        """This does."""
        if self._troubles.pop(asked, None) is not None and not self._troubles:
            log.info("a source goes on again", extra={"source": self._name})
