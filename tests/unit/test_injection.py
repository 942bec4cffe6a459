"""What producers send commands nobody: no header, no file name, no terminal, no log, and no address to be asked."""

import asyncio
import json
import logging
from pathlib import Path
from typing import Any

import pytest

from service.codecs import cloudevents
from service.dlq.showing import printable
from service.errors import InvalidEvent
from service.event import Event, Origin
from service.outcome import DELIVERED
from service.sinks.contract import Batch
from service.sinks.file import File
from service.sinks.kafka_headers import headers as kafka_headers
from service.telemetry.logs import JsonFormatter, TextFormatter
from tests.contract.harness import event

COMMANDS = ["\r\nX-Evil: 1", "\nX-Evil: 1", "\rX-Evil: 1", "\0", "\x1b[31m", "\x7f", "\x85", "\x9b31m", "\ud800"]
ATTRIBUTES = ["id", "source", "type", "subject", "tenant", "dataschema", "datacontenttype"]
SOUND = {"specversion": "1.0", "id": "1", "source": "/s", "type": "t"}
CLIMBING = ["../../x", "/etc/passwd", "a/../../b", "..", "C:\\x", "%2e%2e%2f", "x\0y", "~", "$(id)", "{route}"]


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("name", ATTRIBUTES)
def test_no_attribute_that_ends_in_a_header_holds_what_ends_one(name: str, command: str) -> None:
    value = 'text/plain; a="b' + command + '"' if name == "datacontenttype" else "a:b" + command
    body = json.dumps(SOUND | {name: value}).encode()
    with pytest.raises(InvalidEvent):
        cloudevents.structured(body, 64)
    encoded = value.encode("utf-8", "surrogatepass")
    kept = {f"ce_{key}": each.encode() for key, each in SOUND.items()}
    content_type, more = (encoded.decode("latin-1"), {}) if name == "datacontenttype" else ("", {f"ce_{name}": encoded})
    with pytest.raises(InvalidEvent):
        cloudevents.from_message(kept | more, content_type, b"", 64)
    quoted = "".join(f"%{byte:02x}" for byte in encoded)
    if name != "datacontenttype":
        with pytest.raises(InvalidEvent):
            cloudevents.binary({f"ce-{k}": v for k, v in SOUND.items()} | {f"ce-{name}": quoted}, "", b"", 64)


def test_a_name_of_an_attribute_is_letters_and_digits_and_so_is_its_header() -> None:
    for name in ("x: y\r\n", "X", "a b", "é", "a_b", ""):
        with pytest.raises(InvalidEvent):
            cloudevents.structured(json.dumps(SOUND | {name: "v"}).encode(), 64)
    draft = cloudevents.structured(json.dumps(SOUND | {"a1": "v\u2028w"}).encode(), 64)
    made = Event("1", "r", None, draft.body, draft.content_type, draft.attributes, Origin("http", 0.0, "", ""), True)
    assert dict(kafka_headers(made))["ce_a1"] == "v\u2028w"


@pytest.mark.parametrize("text", [*COMMANDS[:-1], "\u2028", "\u202e", "a\nb", "\x1b]0;title\x07"])
def test_no_line_of_a_log_is_two_and_none_commands_a_terminal(text: str) -> None:
    record = logging.LogRecord("n", logging.WARNING, "p", 1, "said", None, None)
    record.detail = text
    for formatter in (JsonFormatter(), TextFormatter()):
        line = formatter.format(record)
        assert line.isprintable(), line
        assert "X-Evil" not in line.splitlines()[1:]
    assert json.loads(JsonFormatter().format(record))["detail"] == text
    assert printable(text).isprintable()


async def test_nothing_of_an_event_names_a_file(tmp_path: Path) -> None:
    folder = tmp_path / "within" / "data"
    file = File("file", File.Config(type="file", path=folder))
    made: list[Event] = []
    for number, name in enumerate(CLIMBING):
        sound: Any = event(number, b"{}")
        made.append(
            Event(name, name, name, b"{}", name, dict.fromkeys(("id", "type", "source"), name), sound.origin, True)
        )
    async with file:
        assert list(await file.write(Batch(made))) == [DELIVERED] * len(made)
    (written,) = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert written.parent == folder
    assert written.read_bytes() == b"{}\n" * len(made)


async def test_no_address_in_an_event_is_asked(tmp_path: Path) -> None:
    from service.codecs.draft import Caps
    from service.envelopes.contract import Message
    from service.errors import ConfigError
    from service.schemas.jsonschema import JsonSchema
    from tests.contract.goldens import build

    asked: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.read(100))
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/x"

    def decode() -> None:
        attributes = SOUND | {"source": url, "dataschema": url}
        cloudevents.structured(json.dumps(attributes | {"data": {"$ref": url, "$schema": url}}).encode(), 64)
        notification = {"Type": "SubscriptionConfirmation", "SubscribeURL": url, "SigningCertURL": url, "Message": "{}",
                        "MessageId": "m", "TopicArn": "arn:aws:sns:eu-west-1:123456789012:t", "Timestamp": "2026-01-31T12:00:00Z"}  # noqa: E501  # fmt: skip
        for name in ("sns", "cloudevents", "json"):
            list(build(name, Caps(10_000, 10, 64)).decode(Message(json.dumps(notification).encode(), {})))
        for schema in ({"$ref": url}, {"$schema": url}, {"$id": url, "$ref": "other"}, {"items": {"$dynamicRef": url}}):
            file = tmp_path / "schema.json"
            file.write_text(json.dumps(schema))
            with pytest.raises(ConfigError):
                JsonSchema(JsonSchema.Config(type="jsonschema", file=file))
        file.write_text(json.dumps({"$id": url, "properties": {"$ref": {"type": "string"}}}))
        assert JsonSchema(JsonSchema.Config(type="jsonschema", file=file)).violations({"$ref": url, "$id": url}) == []

    await asyncio.to_thread(decode)
    # whoever had asked before is heard before this
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    writer.write(b"last")
    assert await reader.read() == b""
    writer.close()
    server.close()
    assert asked == [b"last"]
