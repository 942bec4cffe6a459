"""The identities of one flow's events, by message: so that a duplicate of one ends as that one does."""

from collections.abc import Callable, Iterable

from service.receiving.dedupe import DedupeWindow, Identity


class Identities:
    """What the messages of one flow have brought first, and is not settled."""

    def __init__(self, window: DedupeWindow, flow: str) -> None:
        self._window = window
        self._flow = flow
        self._of: dict[int, list[Identity]] = {}

    def meet(self, identity: Identity, number: int, joined: Callable[[bool], None]) -> bool:
        """Whether this event of message `number` is a duplicate; see `DedupeWindow.meet`."""
        own = self._of.get(number)
        if own is not None and identity in own:
            # a message that waited for itself would wait for ever
            joined(True)
            return True
        if self._window.meet(identity, joined):
            return True
        self._of.setdefault(number, []).append(identity)
        return False

    def settled(self, numbers: Iterable[int]) -> None:
        """These messages are safe."""
        if self._of:
            for number in numbers:
                for identity in self._of.pop(number, ()):
                    self._window.settled(identity, self._flow)

    def let_go(self, number: int) -> None:
        """What was a duplicate of this message's events has to come again too."""
        for identity in self._of.pop(number, ()):
            self._window.failed(identity)

    def let_all_go(self) -> None:
        """The same of all messages."""
        for number in list(self._of):
            self.let_go(number)
