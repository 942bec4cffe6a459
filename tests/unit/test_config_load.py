"""From file to Config: what is built in, what is printed, plugins and schemas, and what never shows."""

from collections.abc import Mapping
from pathlib import Path

import pytest
import yaml

from service.auth.authenticator import inspect
from service.auth.keys import new_key
from service.config import load
from service.config.reference import effective
from service.errors import ConfigError
from tests.unit.written import SOUND, mistakes, write

CANARY = "c4n4ry-of-a-secret"


def test_without_a_file_events_go_to_a_folder_and_only_this_machine_may_send(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    config = load(None, {})
    assert (config.server.host, config.server.port, config.admin.host) == ("127.0.0.1", 8080, "127.0.0.1")
    assert config.origin is None
    assert {name: sink.type for name, sink in config.sinks.items()} == {"data": "file"}
    assert [to.sink for to in config.routes["default"].to] == ["data"]
    assert config.routes["default"].types == ("*",)
    assert list(tmp_path.iterdir()) == []


def test_the_built_in_configuration_takes_overrides() -> None:
    config = load(None, {"PENSTOCK__SERVER__PORT": "0", "PENSTOCK__SINKS__DATA__PATH": "/var/lib/events"})
    assert config.server.port == 0
    assert config.sinks["data"].model_dump()["path"] == Path("/var/lib/events")


def test_a_bad_override_of_the_built_in_configuration_is_named() -> None:
    with pytest.raises(ConfigError) as caught:
        load(None, {"PENSTOCK__SINKS__DATA__PTAH": "x"})
    (mistake,) = caught.value.mistakes
    assert mistake.startswith("environment variable PENSTOCK__SINKS__DATA__PTAH: sinks.data.ptah: is not a setting")


def test_printing_puts_the_terminal_in_the_place_of_every_sink(tmp_path: Path) -> None:
    text = """
        server: {request_timeout: 7s}
        sinks:
          stream: {type: kinesis, stream: orders, patience: 6s, call_timeout: 2s, max_record: 5MiB}
          dead: {type: kafka, brokers: "b:9092", topic: dead, patience: 6s, call_timeout: 2s}
        routes:
          orders: {to: [stream], max_event: 4MiB}
          other: {to: [stream], dead_letter: dead}
        """
    config = load(write(tmp_path, text), {}, printing=True)
    assert {sink.type for sink in config.sinks.values()} == {"stdout"}
    assert {sink.patience for sink in config.sinks.values()} == {6.0}
    assert set(config.routes) == {"orders", "other"}


def test_aws_settings_hold_for_every_sink_that_does_not_say_otherwise(tmp_path: Path) -> None:
    text = """
        aws: {region: eu-west-1, endpoint_url: "http://127.0.0.1:4566"}
        sinks:
          here: {type: sqs, queue: here}
          there: {type: sqs, queue: there, region: us-east-1}
          data: {type: memory}
        routes: {orders: {to: [here, there, data]}}
        """
    sinks = {name: sink.model_dump() for name, sink in load(write(tmp_path, text), {}).sinks.items()}
    assert (sinks["here"]["region"], sinks["there"]["region"]) == ("eu-west-1", "us-east-1")
    assert {sinks[name]["endpoint_url"] for name in ("here", "there")} == {"http://127.0.0.1:4566"}
    assert "region" not in sinks["data"]


@pytest.mark.parametrize(
    ("schema", "message"),
    [
        ("{type: jsonschema, file: none.json}", "none.json"),
        ("{type: jsonschema, file: broken.json}", "broken.json"),
        ("{type: jsonschema, file: wrong.json}", "wrong.json"),
        ("{type: jsonschema}", "schema.file: is missing"),
        ("{type: jsonschema, flie: x}", "schema.flie: is not a setting; did you mean `file`?"),
        ("{type: jsonshema, file: x}", "schema.type: 'jsonshema' is not a known type. Did you mean 'jsonschema'?"),
        ("{file: x}", "schema.type: is missing; known: jsonschema"),
    ],
)
def test_a_schema_that_cannot_be_used_is_a_mistake_of_its_route(tmp_path: Path, schema: str, message: str) -> None:
    (tmp_path / "broken.json").write_text("{")
    (tmp_path / "wrong.json").write_text('{"type": "nothing"}')
    found = mistakes(tmp_path, SOUND.replace("to: [data]", f"to: [data], schema: {schema}"))
    assert found
    assert all(mistake.startswith("penstock.yaml:4: routes.orders.schema") for mistake in found)
    assert any(message in mistake for mistake in found)


PEPPER = "0123456789abcdef0123456789abcdef"


def _with_keys(tmp_path: Path, keys: str, environment: Mapping[str, str] | None = None) -> list[str]:
    (tmp_path / "keys.yaml").write_text(keys)
    (tmp_path / "pepper").write_text(PEPPER)
    path = write(tmp_path, "server: {auth: {keys_file: keys.yaml, pepper_file: pepper}}" + SOUND)
    try:
        load(path, environment or {}, inspect=inspect)
    except ConfigError as error:
        return [mistake.replace(f"{tmp_path}/", "") for mistake in error.mistakes]
    return []


def test_mistakes_in_the_file_of_keys_stand_among_the_others(tmp_path: Path) -> None:
    digest = new_key("shop", PEPPER.encode())[1]
    entry = f"{{name: shop, hmac_sha256: {digest}, routes: [odrers]}}"
    assert _with_keys(tmp_path, f"keys: [{entry}]", {"PENSTOCK__ADMIN__PORT": "8080"}) == [
        "penstock.yaml:1: server.auth: keys.yaml: key 'shop': there is no route 'odrers'",
        "environment variable PENSTOCK__ADMIN__PORT: admin.port: 8080 is the server's port too",
    ]
    assert _with_keys(tmp_path, f"keys: [{entry.replace('odrers', 'orders')}]") == []


def test_a_file_of_keys_that_is_not_there_is_a_mistake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PEPPER", PEPPER)
    path = write(tmp_path, "server: {auth: {keys_file: lost.yaml, pepper_variable: PEPPER}}" + SOUND)
    with pytest.raises(
        ConfigError, match=r"penstock\.yaml:1: server\.auth: .*lost\.yaml: cannot be read: No such file"
    ):
        load(path, {}, inspect=inspect)


@pytest.mark.parametrize(
    "text",
    [
        f"admin: {{token: {CANARY}, host: [1]}}",
        f"admin: {{tokn: {CANARY}}}",
        f"admin: {{token: [{CANARY}]}}",
        f"admin: {{token: *{CANARY}}}",
        f"admin: {{token: !{CANARY} x}}",
        f"admin: {{token: {{a: {CANARY}}}}}",
        f"admin: {CANARY}",
        f"admin: {{token: '${{{CANARY.replace('-', '_')}}}{CANARY}'}}".replace("${c4n4ry", "${UNSET"),
        f"server: {{auth: {CANARY}}}",
        f"aws: {{external_id: '{CANARY}!'}}",
        f"aws: {{endpoint_url: 'http://user:{CANARY}@127.0.0.1'}}",
        f"aws: {{secret_access_key: {CANARY}}}",
    ],
)
def test_no_mistake_quotes_a_secret(tmp_path: Path, text: str) -> None:
    found = mistakes(tmp_path, text + SOUND)
    assert found
    assert not [mistake for mistake in found if CANARY in mistake]


@pytest.mark.parametrize(
    "properties",
    [
        f"{{sasl.password: [{CANARY}]}}",
        f"{{sasl.password: {CANARY}, acks: '0'}}",
        f"{{sasl.password: {CANARY}, sasl.username: 5}}",
        f"[{CANARY}]",
        CANARY,
    ],
)
def test_no_mistake_quotes_a_property_of_kafka(tmp_path: Path, properties: str) -> None:
    found = mistakes(
        tmp_path,
        f"sinks: {{data: {{type: kafka, brokers: 'b:9092', topic: t, properties: {properties}}}}}\n"
        "routes: {orders: {to: [data]}}",
    )
    assert found
    assert not [mistake for mistake in found if CANARY in mistake]


@pytest.mark.parametrize(
    "keys",
    [
        CANARY,
        f"keys: [{CANARY}]",
        f"keys: [{{name: shop, hmac_sha256: {CANARY}}}]",
        f"keys: {{{CANARY}: x}}",
        f"*{CANARY}",
    ],
)
def test_no_mistake_quotes_the_file_of_keys(tmp_path: Path, keys: str) -> None:
    found = _with_keys(tmp_path, keys)
    assert found
    assert not [mistake for mistake in found if CANARY in mistake]


def test_an_override_that_is_wrong_is_named_without_its_value(tmp_path: Path) -> None:
    found = mistakes(tmp_path, SOUND, {"PENSTOCK__ADMIN__TOKEN": "short", "PENSTOCK__ADMIN__TOKN": CANARY})
    assert len(found) == 2
    assert not [mistake for mistake in found if "short" in mistake.split(": ", 1)[1] or CANARY in mistake]


def test_the_effective_configuration_masks_secrets_and_can_be_read_again(tmp_path: Path) -> None:
    (tmp_path / "schemas").mkdir()
    (tmp_path / "schemas" / "order.json").write_text('{"type": "object"}')
    (tmp_path / "keys.yaml").write_text(f"keys: [{{name: shop, hmac_sha256: {new_key('shop', PEPPER.encode())[1]}}}]")
    (tmp_path / "pepper").write_text(PEPPER)
    text = f"""
        server: {{auth: {{keys_file: keys.yaml, pepper_file: pepper}}, memory: 256MiB, trusted_proxies: [10.0.0.0/8]}}
        admin: {{host: 0.0.0.0, token: {CANARY}}}
        aws: {{region: eu-west-1}}
        sinks:
          stream: {{type: kinesis, stream: orders, patience: 18s, call_timeout: 1500ms}}
          mirror:
            type: kafka
            brokers: "b-1:9098"
            topic: orders
            properties: {{sasl.password: {CANARY}, sasl.username: "$${{NAME}}"}}
          data: {{type: file, path: data}}
          dead: {{type: sqs, queue: dead.fifo}}
        routes:
          orders:
            types: [com.example.order.*]
            schema: {{type: jsonschema, file: schemas/order.json}}
            key: /customer/id
            to: [stream, mirror, {{sink: data, required: false, format: data}}]
            dead_letter: {{sink: dead, invalid: true}}
            cors: ["https://shop.example.com"]
          plain: {{to: [data]}}
        """
    environment = {"PENSTOCK__LOGS__LEVEL": "debug"}
    first = load(write(tmp_path, text), environment, inspect=inspect)
    shown = effective(first)
    assert CANARY not in shown

    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "penstock.yaml").write_text(shown)
    again = load(elsewhere / "penstock.yaml", {}, inspect=inspect)
    assert yaml.safe_load(effective(again)) == yaml.safe_load(shown)
    assert again.server == first.server
    assert again.routes["plain"].max_event == first.max_event["plain"]
    assert set(again.schemas) == {"orders"}
    assert again.sinks["mirror"].model_dump()["properties"]["sasl.username"] == "${NAME}"
    assert yaml.safe_load(shown)["logs"]["level"] == "debug"


def test_the_effective_configuration_says_who_may_send() -> None:
    shown = yaml.safe_load(effective(load(None, {"PENSTOCK__SERVER__AUTH": "none"})))
    assert shown["server"]["auth"] == "none"
