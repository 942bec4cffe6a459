"""Events that were delivered lately, by identity, so that a message that comes again is not delivered again."""

import time
from collections import OrderedDict
from collections.abc import Callable, Hashable

from pydantic import BaseModel, ConfigDict, Field

from service.units import Duration

Identity = tuple[str, ...]
"""The route, and CloudEvents `source` and `id`: what went to one route is not at the sinks of another."""


class Dedupe(BaseModel):
    """How long an identity is known, and how many are."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    window: Duration = Field(default=600.0, gt=0, description="How long an id is known after its event was delivered.")
    most: int = Field(
        default=100_000,
        ge=1,
        le=10_000_000,
        description="Most ids known, of some 400 B each; beyond, the oldest go. Workers divide it.",
    )


class DedupeWindow:
    """The identities of one source's events, of those under way and of those delivered lately.

    An identity is known once everything of its message was settled, so an event that was lost on the way is no
    duplicate. A duplicate of one under way joins it: it is settled, or fails, as that one does.
    """

    def __init__(self, settings: Dedupe, clock: Callable[[], float] = time.monotonic) -> None:
        self._window = settings.window
        self._most = settings.most
        self._clock = clock
        self._known: OrderedDict[Identity, tuple[float, Hashable]] = OrderedDict()
        """When it was settled, and of which flow it was; the oldest first."""
        self._under_way: dict[Identity, list[Callable[[bool], None]]] = {}

    def meet(self, identity: Identity, joined: Callable[[bool], None]) -> bool:
        """Whether an event with this identity is a duplicate, for which nothing is to be done.

        Of one that is under way `joined` is called in the end, with whether it was settled; of one that is known it is
        called at once. Of any other it never is: the caller hands the event over, and says `settled` or `failed`.
        """
        known = self._known.get(identity)
        if known is not None:
            if known[0] + self._window > self._clock():
                joined(True)
                return True
            del self._known[identity]
        others = self._under_way.get(identity)
        if others is not None:
            others.append(joined)
            return True
        self._under_way[identity] = []
        return False

    def settled(self, identity: Identity, flow: Hashable) -> None:
        """The event that was met first is safe."""
        now = self._clock()
        self._known[identity] = (now, flow)
        while len(self._known) > self._most:
            self._known.popitem(last=False)
        while self._known and next(iter(self._known.values()))[0] + self._window <= now:
            self._known.popitem(last=False)
        self._end(identity, True)

    def failed(self, identity: Identity) -> None:
        """It is not, and whoever brought it will bring it again."""
        self._end(identity, False)

    def _end(self, identity: Identity, safe: bool) -> None:
        for joined in self._under_way.pop(identity, ()):
            joined(safe)

    def forget(self, flow: Hashable) -> None:
        """Know nothing more of what came by this flow: somebody else goes on with it."""
        for identity in [each for each, (_, whose) in self._known.items() if whose == flow]:
            del self._known[identity]
