"""Plain JSON: a message is an event, and says nothing of it beside."""

from collections.abc import Iterable

from service.codecs.body import plain
from service.codecs.draft import Caps, Draft
from service.envelopes.contract import Found, Message
from service.envelopes.document import TOMBSTONE, TombstoneConfig, explained


class Json:
    """One JSON object per message. Documented: RFC 8259.

    Identity and type: none; the route or the source gives them. Key: the message's. `data`: the object.
    Deletes: JSON has none of its own; a tombstone is refused, or with `tombstones: skip` passed over.
    Control records: there are none.
    A value that is no object is refused, as in a request's body; an array too, for which there is `ndjson`.
    """

    class Config(TombstoneConfig):
        """`codec: json`."""

    def __init__(self, config: Config, caps: Caps) -> None:
        self._caps = caps
        self._skips = config.tombstones == "skip"

    def decode(self, message: Message) -> Iterable[Found]:
        """The event in `message`."""
        found = plain(self._caps, message.value)
        if isinstance(found, Draft):
            found.key = message.key
            return (found,)
        if message.tombstone and self._skips:
            return TOMBSTONE
        return (explained(found, message),)
