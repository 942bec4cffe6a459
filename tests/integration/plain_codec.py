"""A codec of somebody else: a message's value is a JSON object."""

from collections.abc import Iterable

from service.codecs import json
from service.codecs.draft import Caps, Draft, Refusal
from service.envelopes.contract import CodecConfig, Found, Message
from service.errors import InvalidEvent
from service.event import NO_ATTRIBUTES


class Plain:
    """One event per message."""

    class Config(CodecConfig):
        """None of its own."""

    def __init__(self, config: Config, caps: Caps) -> None:
        del config
        self._caps = caps

    def decode(self, message: Message) -> Iterable[Found]:
        """The event, or why there is none."""
        try:
            data = json.loads(message.value, self._caps.nesting)
        except InvalidEvent as error:
            return (Refusal(message.value, "application/json", error),)
        return (Draft(message.value, "application/json", NO_ATTRIBUTES, data, message.key),)
