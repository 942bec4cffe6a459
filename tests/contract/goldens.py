"""Golden files: messages as the public documentation of each format shows them, and what must be found in them.

    {"source": "document, section", "message": {"value": JSON | "text": "...", "headers"?, "key"?}, "expected": [...]}

The value is as the document has it, but for white space. Expected is one of `{"draft": {...}}`, `{"skip": why}` and
`{"refused": code, "because": detail}`; of a draft `body` stands there only if it is not the whole message, and
`content_type` only if it is not JSON.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import orjson

from service import plugins
from service.codecs.draft import NOT_JSON, Caps, Draft, Refusal
from service.envelopes.contract import Codec, Found, Message

FOLDER = Path(__file__).parent / "golden"
CAPS = Caps(event_bytes=1024 * 1024, events=1000, nesting=64)


def golden_files(codec: str) -> list[Path]:
    """The golden files of a codec."""
    return sorted((FOLDER / codec).glob("*.json"))


def read(path: Path) -> dict[str, Any]:
    """The contents of a golden file."""
    found: dict[str, Any] = orjson.loads(path.read_bytes())
    return found


def message_of(golden: dict[str, Any]) -> Message:
    """The message that a golden file shows."""
    message = golden["message"]
    value = message["text"].encode() if "text" in message else orjson.dumps(message["value"])
    headers = {name: text.encode() for name, text in message.get("headers", {}).items()}
    return Message(value, headers, message.get("key"))


def build(name: str, caps: Caps = CAPS, **settings: Any) -> Codec:
    """The codec of this name, with these settings."""
    kind = plugins.load("envelopes", name)
    codec: Codec = kind(kind.Config(type=name, **settings), caps)
    return codec


def told(found: Iterable[Found], message: Message) -> list[dict[str, Any]]:
    """What was found, as golden files have it."""
    return [_told(each, message) for each in found]


def _told(found: Found, message: Message) -> dict[str, Any]:
    if isinstance(found, Refusal):
        return {"refused": found.error.code.value, "because": found.error.detail}
    if not isinstance(found, Draft):
        return {"skip": found.why.value}
    draft: dict[str, Any] = {} if found.body == message.value else {"body": found.body.decode()}
    if found.content_type != "application/json":
        draft["content_type"] = found.content_type
    data = "NOT_JSON" if found.data is NOT_JSON else found.data
    return {"draft": draft | {"attributes": dict(found.attributes), "key": found.key, "data": data}}
