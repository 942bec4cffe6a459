"""A codec for tests of sources: `type: tests.contract.plain_codec:Plain`. A message is JSON, but for some."""

import json
from collections.abc import Iterable
from typing import ClassVar

from service.codecs.draft import Caps, Draft, Refusal
from service.envelopes.contract import CodecConfig, Found, Message, Skip, SkipReason
from service.errors import Code, InvalidEvent

BROKEN = b"broken"
TEST = b"test"
RAISES = b"raises"
ALIEN = b"alien"
NOT_JSON = "application/octet-stream"


class Plain:
    """`BROKEN` is refused, `TEST` passed over, `RAISES` raises, of `ALIEN` is found what may not be. An array is an
    event for each of its objects, and what else stands there is refused."""

    class Config(CodecConfig):
        """No settings."""

    seen: ClassVar[list[Message]] = []
    """Everything that was decoded, until a test takes it out."""

    def __init__(self, config: Config, caps: Caps) -> None:
        del config, caps

    def decode(self, message: Message) -> Iterable[Found]:
        """See `Codec`."""
        self.seen.append(message)
        value = message.value
        if value == RAISES:
            raise RuntimeError("scripted")
        if value == ALIEN:
            return [value]  # type: ignore[list-item]
        if value == TEST:
            return [Skip(SkipReason.TEST)]
        if value.startswith(BROKEN):
            return [Refusal(value, NOT_JSON, InvalidEvent(Code.MALFORMED_EVENT, "scripted", errors=[]))]
        data = json.loads(value)
        return [_draft(each, message) for each in (data if isinstance(data, list) else [data])]


def _draft(data: dict[str, object] | str, message: Message) -> Draft | Refusal:
    """An event with the identity that it says it has, `id`, or without one."""
    if isinstance(data, str):
        return Refusal(data.encode(), NOT_JSON, InvalidEvent(Code.MALFORMED_EVENT, "scripted", errors=[]))
    id_ = data.get("id")
    attributes = {"specversion": "1.0", "id": str(id_), "source": "/test", "type": "test"} if id_ is not None else {}
    return Draft(json.dumps(data).encode(), "application/json", attributes, data, message.key)
