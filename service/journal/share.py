"""What stored events of one leg may take of its lane: the rest is for routes whose producers wait."""

from typing import Final

from service.delivery.lane import Lane

MOST: Final = 2
"""They fill it up to this part of its memory, a half."""
LEAST: Final = 16
"""While the leg has none there it may have this part all the same, as far as the lane has room: routes whose producers
wait may keep it more than half full for ever."""


class Share:
    """One leg's."""

    def __init__(self, lane: Lane) -> None:
        self._lane = lane
        self.held = 0
        """Events of the leg that a lane has now."""

    def room(self) -> int:
        """Bytes that may be put now; none if it is not positive."""
        lane = self._lane
        room = lane.capacity // MOST - lane.held_bytes
        if room > 0 or self.held:
            return room
        return min(lane.capacity // LEAST, lane.capacity - lane.held_bytes)
