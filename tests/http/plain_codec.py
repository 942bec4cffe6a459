"""A codec of somebody else: a message is a JSON object; `type` is its type where it has one."""

from collections.abc import Iterable

from service.codecs import json
from service.codecs.draft import Caps, Draft, Refusal
from service.envelopes.contract import CodecConfig, Found, Message, Skip, Why
from service.errors import Code, InvalidEvent
from service.event import NO_ATTRIBUTES


class Plain:
    """One event per message; none in an empty one."""

    class Config(CodecConfig):
        """None of its own."""

    def __init__(self, config: Config, caps: Caps) -> None:
        del config
        self._caps = caps

    def decode(self, message: Message) -> Iterable[Found]:
        """The event, or why there is none."""
        if not message.value:
            return (Skip(Why.CONTROL),)
        try:
            data = json.loads(message.value, self._caps.nesting)
        except InvalidEvent as error:
            return (Refusal(message.value, "application/json", error),)
        if not isinstance(data, dict):
            flaw = InvalidEvent(Code.MALFORMED_EVENT, "no object", errors=[])
            return (Refusal(message.value, "application/json", flaw),)
        return (Draft(message.value, "application/json", NO_ATTRIBUTES, data, message.key),)
