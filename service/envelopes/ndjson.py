"""Lines of JSON: a message is as many events as it has lines."""

from collections.abc import Iterable, Iterator

from service.codecs.body import lines
from service.codecs.draft import Caps, Decoded, Draft
from service.envelopes.contract import Found, Message
from service.envelopes.document import TOMBSTONE, TombstoneConfig, explained, refused, refused_whole
from service.envelopes.registry import header
from service.errors import TooLarge, Unreadable


class Ndjson:
    """One JSON object per line; blank lines are none. Documented: github.com/ndjson/ndjson-spec.

    Identity and type: none; the route or the source gives them. Key: the message's. `data`: the object of the line.
    Deletes: JSON has none of its own; a tombstone is refused, or with `tombstones: skip` passed over.
    Control records: there are none.
    A line that is no object is refused alone. A message of more lines than a batch may have is refused as a whole.
    """

    class Config(TombstoneConfig):
        """`codec: ndjson`."""

    def __init__(self, config: Config, caps: Caps) -> None:
        self._caps = caps
        self._skips = config.tombstones == "skip"

    def decode(self, message: Message) -> Iterable[Found]:
        """The event in each line of `message`."""
        value = message.value
        if message.tombstone and self._skips:
            return TOMBSTONE
        if value[:1] < b"\x04" and (not value or header(value, {})):
            return (explained(refused(value, "not lines of JSON"), message),)
        try:
            found = lines(self._caps, value)
        except (Unreadable, TooLarge) as error:
            return (refused_whole(value, error),)
        return found if message.key is None else _ordered(found, message.key)


def _ordered(found: Iterable[Decoded], key: str) -> Iterator[Decoded]:
    for each in found:
        if isinstance(each, Draft):
            each.key = key
        yield each
