"""What no single setting shows: references, cycles, time-outs, sizes, and who may reach the ports."""

from pathlib import Path

import pytest

from service.config import load
from tests.unit.written import SOUND, mistakes, routes, write


def test_all_mistakes_are_listed_at_once_each_with_its_line_and_path(tmp_path: Path) -> None:
    found = mistakes(
        tmp_path,
        """
        server: {prot: 80, host: 0.0.0.0}
        admin: {port: 70000}
        logs: {level: loud}
        sinks:
          Bad-Name: {type: memory}
          data: {type: memroy}
          other:
            type: memory
            capacity: lots
        routes:
          events: {to: [data]}
          orders:
            to:
              - data
              - dta
            key: customer
          empty: {to: []}
        """,
        {"PENSTOCK__LOGS__FORM": "xml"},
    )
    beginnings = [
        "penstock.yaml:1: server.prot: is not a setting; did you mean `port`? allowed here: admin",
        "penstock.yaml:2: admin.port: must be less than or equal to 65535",
        "penstock.yaml:3: logs.level: must be 'debug', 'info', 'warning' or 'error'",
        "environment variable PENSTOCK__LOGS__FORM: logs.form: must be 'auto', 'json' or 'text'",
        "penstock.yaml:5: sinks.Bad-Name: a name is lower-case letters, digits and underscores",
        "penstock.yaml:6: sinks.data.type: 'memroy' is not a known type. Did you mean 'memory'?",
        "penstock.yaml:9: sinks.other.capacity: 'lots' is not a quantity such as 64MiB; units: ",
        "penstock.yaml:11: routes.events: `events` is reserved",
        "penstock.yaml:15: routes.orders.to[1]: there is no sink 'dta'; did you mean 'data'?",
        "penstock.yaml:16: routes.orders.key: 'customer' is not a selector",
        "penstock.yaml:17: routes.empty.to: ",
    ]
    for beginning in beginnings:
        beginning = beginning.replace("allowed here: admin", "allowed here: ")
        assert any(mistake.startswith(beginning) for mistake in found), (beginning, found)
    assert len(found) == len(beginnings)


@pytest.mark.parametrize("source", ["/shop/web", "urn:example:shop", "https://shop.example.com/a?b#c", "shop"])
def test_a_source_is_a_uri_reference(tmp_path: Path, source: str) -> None:
    path = write(tmp_path, routes(f"  orders: {{to: [a], source: '{source}'}}"))
    assert load(path, {}).routes["orders"].source == source


@pytest.mark.parametrize("source", ["", "the shop", "/shop/%zz", "a^b", "1:2"])
def test_another_source_is_refused_at_start(tmp_path: Path, source: str) -> None:
    [mistake] = mistakes(tmp_path, routes(f"  orders: {{to: [a], source: '{source}'}}"))
    assert "routes.orders.source: must be a URI reference" in mistake


def test_a_mistake_is_not_held_against_what_depends_on_it(tmp_path: Path) -> None:
    """A wrong section is not replaced by its defaults, against which sound settings would look wrong."""
    found = mistakes(
        tmp_path,
        """
        server: {request_timeout: 4O s, load_balancer_idle: 100s, keep_alive: 110s, host: 0.0.0.0, auth: nobody}
        aws: {region: nowhere!}
        sinks:
          data: {type: memory, patience: 35s}
          stream: {type: kinesis, stream: s}
          dead: {type: nothing}
        routes:
          orders: {to: [data, {sink: stream, required: false}], dead_letter: {snk: dead}}
        """,
    )
    assert [mistake.split(": ")[1] for mistake in found] == [
        "server.auth",
        "server.request_timeout",
        "aws.region",
        "routes.orders.dead_letter.sink",
        "routes.orders.dead_letter.snk",
        "sinks.dead.type",
    ]


@pytest.mark.parametrize(
    ("place", "text", "suggestion"),
    [
        ("serv", "serv: {}" + SOUND, "server"),
        ("routes.orders.shema", SOUND + "    shema: {}\n", "schema"),
        ("routes.orders.to[0].requird", routes("  orders: {to: [{sink: a, requird: true}]}"), "required"),
        ("routes.key.dead_letter.invald", routes("  key: {to: [a], dead_letter: {sink: b, invald: true}}"), "invalid"),
        ("server.auth.key_file", "server: {auth: {key_file: x}}" + SOUND, "keys_file"),
        ("sinks.data.capcity", "sinks: {data: {type: memory, capcity: 1}}\nroutes: {o: {to: [data]}}", "capacity"),
        ("sinks.data.patiense", "sinks: {data: {type: memory, patiense: 1}}\nroutes: {o: {to: [data]}}", "patience"),
    ],
)
def test_an_unknown_key_is_answered_with_the_nearest_known_one(
    tmp_path: Path, place: str, text: str, suggestion: str
) -> None:
    text = text.replace("{to: [data]}\n    shema", "\n    to: [data]\n    shema")
    (found,) = mistakes(tmp_path, text)
    assert f" {place}: is not a setting; did you mean `{suggestion}`? allowed here: " in found
    allowed = found.partition("allowed here: ")[2].split(", ")
    assert suggestion in allowed
    assert allowed == sorted(allowed)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("server: 5", "server: must be a mapping"),
        ("server: {trusted_proxies: 10.0.0.0/8}", "server.trusted_proxies: must be a list, such as [one, two]"),
        ("server: {host: 5}", "server.host: must be text; quote it"),
        ("aws: {region: 5}", "aws.region: must be text; quote it"),
        ("server: {trusted_proxies: [nobody]}", "server.trusted_proxies[0]: "),
        (
            "server: {auth: everybody}",
            "server.auth: write `none`, or a mapping such as",
        ),
        (
            "server: {auth: {}}",
            "server.auth: write `none`, or a mapping such as",
        ),
        (
            "server: {auth: yes}",
            "server.auth: write `none`, or a mapping such as",
        ),
        (
            "server: {auth: 3}",
            "server.auth: write `none`, or a mapping such as",
        ),
        ("server: {auth: {keys_file: 3}}", "server.auth.keys_file: must be a path; quote it"),
        ("server: {auth: {keys_file: ''}}", "server.auth.keys_file: must be a path, such as data or /var/lib/penstock"),
        ("server: {max_events: 1e3}", "server.max_events: must be a whole number in plain digits: 1000, not 1e3 or"),
        ("server: {max_events: 1.5}", "server.max_events: must be a whole number in plain digits: 1000, not 1e3 or"),
        ("server: {max_events: [1]}", "server.max_events: must be a whole number in plain digits: 1000, not 1e3 or"),
        (
            "server: {auth: {keys_file: a, keys_variable: B}}",
            "server.auth: give keys_file, keys_variable or keys_secret",
        ),
        ("server: {workers: 65}", "server.workers: must be less than or equal to 64"),
        ("server: {memory: .inf}", "server.memory: must be a finite quantity such as 64MiB"),
    ],
)
def test_a_value_of_the_wrong_form_is_answered_with_what_is_allowed(tmp_path: Path, text: str, message: str) -> None:
    (found,) = mistakes(tmp_path, text + SOUND)
    assert found.startswith(f"penstock.yaml:1: {message}")


KINDS = "file, firehose, kafka, kinesis, memory, sqs, stdout"


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        ("nothing", "data: must be a mapping with a `type`"),
        ("[]", "data: must be a mapping with a `type`"),
        ("null", "data: must be a mapping with a `type`"),
        ("{stream: orders}", f"data.type: is missing; known: {KINDS}"),
        ("{type: null}", f"data.type: is missing; known: {KINDS}"),
        ("{type: 3}", f"data.type: must be text, one of: {KINDS}"),
        ("{type: [file]}", f"data.type: must be text, one of: {KINDS}"),
    ],
)
def test_a_sink_must_be_a_mapping_with_a_type(tmp_path: Path, raw: str, message: str) -> None:
    found = mistakes(tmp_path, f"sinks: {{data: {raw}}}\nroutes: {{orders: {{to: [data]}}}}")
    assert found == [f"penstock.yaml:1: sinks.{message}"]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ("type: memory, concurrency: 1e3", "concurrency: must be a whole number in plain digits: 1000, not 1e3 or"),
        ("type: kinesis, stream: s, shard_events_per_second: few", "shard_events_per_second: must be a number, such"),
        ("type: firehose, delivery_stream: s, newline: 5", "newline: must be true or false"),
        ("type: kafka, brokers: b, topic: t, client_id: ''", "client_id: must have at least 1 character"),
        ("type: kinesis, stream: s, endpoint_url: 'http://[::1'", "endpoint_url: an endpoint is a URL such as"),
    ],
)
def test_a_setting_of_a_sink_is_answered_with_what_is_allowed(tmp_path: Path, settings: str, message: str) -> None:
    text = f"aws: {{region: eu-west-1}}\nsinks: {{data: {{{settings}}}}}\nroutes: {{orders: {{to: [data]}}}}"
    (found,) = mistakes(tmp_path, text)
    assert found.startswith(f"penstock.yaml:2: sinks.data.{message}")


def test_a_route_without_sinks_is_told_in_entries(tmp_path: Path) -> None:
    assert mistakes(tmp_path, routes("  orders: {to: []}")) == [
        "penstock.yaml:7: routes.orders.to: must have at least 1 entry"
    ]


# references


def test_one_type_belongs_to_one_route(tmp_path: Path) -> None:
    text = routes("  one: {types: [com.example.*, x], to: [a]}\n  two: {types: [y, com.example.*], to: [a]}")
    (found,) = mistakes(tmp_path, text)
    assert found == "penstock.yaml:8: routes.two.types[1]: 'com.example.*' already belongs to route 'one'"


def test_a_narrower_type_may_belong_to_another_route(tmp_path: Path) -> None:
    text = routes("  one: {types: [com.example.*], to: [a]}\n  two: {types: [com.example.order, '*'], to: [a]}")
    assert mistakes(tmp_path, text) == []


def test_the_name_events_is_reserved(tmp_path: Path) -> None:
    (found,) = mistakes(tmp_path, routes("  events: {to: [a]}"))
    assert found.startswith("penstock.yaml:7: routes.events: `events` is reserved: POST /v1/events routes CloudEvents")


@pytest.mark.parametrize("name", ["Orders", "or-ders", "1st", "_x", "ü", "a.b"])
def test_names_are_plain(tmp_path: Path, name: str) -> None:
    for text in (routes(f"  '{name}': {{to: [a]}}"), f"sinks: {{'{name}': {{type: memory}}, a: {{type: memory}}}}"):
        found = mistakes(tmp_path, text + ("" if "routes" in text else "\nroutes: {orders: {to: [a]}}"))
        assert len(found) == 1
        assert "a name is lower-case letters, digits and underscores, and begins with a letter" in found[0]


def _lane(settings: str, server: str = "") -> str:
    return f"server: {{{server}}}\nsinks: {{data: {{type: memory, {settings}}}}}\nroutes: {{orders: {{to: [data]}}}}\n"


@pytest.mark.parametrize(
    ("longest", "too_long", "place"),
    [
        (("call_timeout: 10s", ""), ("call_timeout: 10.001s", ""), "sinks.data.patience"),
        (("linger: 12s", ""), ("linger: 12.001s", ""), "sinks.data.linger"),
        (("patience: 24s", ""), ("patience: 24.001s", ""), "sinks.data.patience"),
        (("", "request_timeout: 59.999s"), ("", "request_timeout: 60s"), "server.request_timeout"),
        (("", "body_timeout: 59.999s"), ("", "body_timeout: 60s"), "server.body_timeout"),
        (("", "load_balancer_idle: 74.999s"), ("", "load_balancer_idle: 75s"), "server.load_balancer_idle"),
        (("", "keep_alive: 60.001s"), ("", "keep_alive: 60s"), "server.load_balancer_idle"),
        (("", "deregister_delay: 8s"), ("", "deregister_delay: 8.001s"), "server.drain_timeout"),
        (("", "drain_timeout: 23s"), ("", "drain_timeout: 23.001s"), "server.drain_timeout"),
        (("", "grace: 27s"), ("", "grace: 26.999s"), "server.drain_timeout"),
    ],
)
def test_each_link_of_the_chain_of_time_outs_holds_exactly(
    tmp_path: Path, longest: tuple[str, str], too_long: tuple[str, str], place: str
) -> None:
    assert mistakes(tmp_path, _lane(*longest)) == []
    (found,) = mistakes(tmp_path, _lane(*too_long))
    assert f": {place}: " in found


@pytest.mark.parametrize(
    ("server", "noted"),
    [
        ("", False),
        ("body_timeout: 22s", False),
        ("body_timeout: 22.001s", True),
        ("drain_timeout: 13s", False),
        ("drain_timeout: 12.999s", True),
    ],
)
def test_a_body_that_the_drain_does_not_wait_for_is_mentioned(tmp_path: Path, server: str, noted: bool) -> None:
    warnings = load(write(tmp_path, _lane("", server)), {}).warnings
    assert len(warnings) == noted
    assert all(
        warning.startswith("server.body_timeout: ")
        and "at shutdown a body that takes so long is answered 503" in warning
        for warning in warnings
    )
