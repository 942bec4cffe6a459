"""Where events may go from a sink: that it exists, fallbacks, dead letters, and the sizes that they all take."""

from pathlib import Path

import pytest

from service.config import load
from service.delivery.deadletter import largest_envelope
from service.errors import ConfigError
from tests.unit.written import mistakes, routes, write


def _dead_letters_in(size: str, max_event: str) -> str:
    """A queue whose messages have at most `size`, as the dead letters of a sink that takes more."""
    return f"""
        aws: {{region: eu-west-1}}
        sinks:
          data: {{type: memory}}
          dead: {{type: sqs, queue: dead, max_message: {size}}}
        routes:
          orders: {{to: [data], dead_letter: dead, {max_event}}}
        """


def _overhead(tmp_path: Path) -> int:
    """What a queue counts beside the body: the boundary of a route without dead letters tells it."""
    text = "sinks: {q: {type: sqs, queue: q, region: eu-west-1, max_message: 100KiB}}\nroutes: {orders: {to: [q]}}"
    return 100 * 2**10 - load(write(tmp_path, text), {}).max_event["orders"]


# time-outs, link by link


@pytest.mark.parametrize(
    ("route", "messages"),
    [
        ("{to: [a, lost]}", ["routes.orders.to[1]: there is no sink 'lost'"]),
        ("{to: [aa]}", ["routes.orders.to[0]: there is no sink 'aa'; did you mean 'a'?"]),
        ("{to: [a], dead_letter: lost}", ["routes.orders.dead_letter: there is no sink 'lost'"]),
        ("{to: [a, {sink: a}]}", ["routes.orders.to[1]: sink 'a' stands here twice"]),
        (
            "{to: [{sink: a, required: false}], dead_letter: b}",
            ["routes.orders.to: at least one sink must be required"],
        ),
        (
            "{to: [a, {sink: b, required: false}]}",
            ["routes.orders: a route with best-effort sinks needs a `dead_letter`"],
        ),
        ("{to: [lost, gone], dead_letter: away}", ["routes.orders.to[0]", "routes.orders.to[1]", "routes.orders.dead"]),
    ],
)
def test_a_route_names_only_what_there_is(tmp_path: Path, route: str, messages: list[str]) -> None:
    found = mistakes(tmp_path, routes(f"  orders: {route}"))
    assert len(found) == len(messages)
    for mistake, message in zip(found, messages, strict=True):
        assert mistake.startswith(f"penstock.yaml:7: {message}")


def test_a_sink_that_no_route_uses_is_only_mentioned(tmp_path: Path) -> None:
    config = load(write(tmp_path, routes("  orders: {to: [a], dead_letter: b}", "a b c")), {})
    assert config.warnings == ("sinks.c: no route uses it; it is not started",)


# cycles of dead letters


@pytest.mark.parametrize(
    ("text", "guilty"),
    [
        ("  one: {to: [a], dead_letter: a}", ["one"]),
        ("  one: {to: [a, b], dead_letter: b}", ["one"]),
        ("  one: {to: [a, {sink: b, required: false}], dead_letter: b}", ["one"]),
        ("  one: {to: [a], dead_letter: b}\n  two: {to: [b], dead_letter: a}", ["one", "two"]),
        (
            "  one: {to: [a], dead_letter: b}\n  two: {to: [b], dead_letter: c}\n  three: {to: [c], dead_letter: a}",
            ["one", "two", "three"],
        ),
        (
            "  one: {to: [a], dead_letter: b}\n  two: {to: [b], dead_letter: c}\n  three: {to: [c], dead_letter: b}",
            ["two", "three"],
        ),
    ],
)
def test_dead_letters_may_not_come_back(tmp_path: Path, text: str, guilty: list[str]) -> None:
    found = mistakes(tmp_path, routes(text))
    assert [mistake.split(": ")[1] for mistake in found] == [f"routes.{route}.dead_letter" for route in guilty]
    assert all("its dead letters would come back to sink" in mistake for mistake in found)


def test_dead_letters_may_not_come_back_by_a_fallback(tmp_path: Path) -> None:
    text = "sinks:\n  a: {type: memory, fallback: b}\n  b: {type: memory}\nroutes: {r: {to: [a], dead_letter: b}}\n"
    [found] = mistakes(tmp_path, text)
    assert "routes.r.dead_letter: its dead letters would come back to sink 'b'" in found


@pytest.mark.parametrize(
    "text",
    [
        "  one: {to: [a], dead_letter: d}\n  two: {to: [b], dead_letter: d}\n  three: {to: [a, b], dead_letter: d}",
        "  one: {to: [a], dead_letter: d}\n  two: {to: [d]}",
        "  one: {to: [a], dead_letter: b}\n  two: {to: [b], dead_letter: c}\n  three: {to: [c], dead_letter: d}",
        "  one: {to: [a], dead_letter: c}\n  two: {to: [b], dead_letter: d}\n  three: {to: [c], dead_letter: d}",
    ],
    ids=["shared", "also a destination", "chain", "meeting"],
)
def test_dead_letters_that_end_somewhere_are_allowed(tmp_path: Path, text: str) -> None:
    assert mistakes(tmp_path, routes(text)) == []


# what a sink has for itself


def test_the_largest_event_is_what_its_dead_letter_still_holds(tmp_path: Path) -> None:
    config = load(write(tmp_path, _dead_letters_in("100KiB", "")), {})
    largest = config.max_event["orders"]
    room = 100 * 2**10 - _overhead(tmp_path)
    assert largest_envelope(largest) <= room < largest_envelope(largest + 3)


def test_a_dead_letter_is_refused_from_the_first_byte_that_it_would_not_hold(tmp_path: Path) -> None:
    largest = load(write(tmp_path, _dead_letters_in("100KiB", "")), {}).max_event["orders"]
    assert mistakes(tmp_path, _dead_letters_in("100KiB", f"max_event: {largest}")) == []
    (found,) = mistakes(tmp_path, _dead_letters_in("100KiB", f"max_event: {largest + 1}"))
    assert found.startswith(
        f"penstock.yaml:6: routes.orders.max_event: {largest + 1}B is more than the dead letters at sink 'dead' "
        "(4/3 of the event and 16KiB) takes, "
    )


def test_dead_letters_that_hold_no_event_at_all_are_refused(tmp_path: Path) -> None:
    (found,) = mistakes(tmp_path, _dead_letters_in("16KiB", ""))
    assert "routes.orders: no event fits: the dead letters at sink 'dead'" in found


def test_no_event_may_be_larger_than_a_required_sink_takes(tmp_path: Path) -> None:
    (found,) = mistakes(tmp_path, routes("  orders: {to: [a], max_event: 8388609}"))
    assert "routes.orders.max_event: 8388609B is more than sink 'a' takes, 8MiB" in found


def test_a_best_effort_sink_does_not_bound_the_events(tmp_path: Path) -> None:
    text = """
        aws: {region: eu-west-1}
        sinks: {data: {type: memory}, small: {type: sqs, queue: q, max_message: 64KiB}, dead: {type: file, path: d}}
        routes: {orders: {to: [data, {sink: small, required: false}], dead_letter: dead}}
        """
    assert load(write(tmp_path, text), {}).max_event["orders"] > 5 * 2**20


@pytest.mark.parametrize(
    ("sinks", "mistake"),
    [
        ("a: {type: memory, fallback: b}\n  b: {type: memory}", None),
        ("a: {type: memory, fallback: c}\n  b: {type: memory}", "sinks.a.fallback: there is no sink 'c'"),
        ("a: {type: memory, fallback: a}", "sinks.a.fallback: a sink cannot be its own fallback"),
        ("a: {type: memory, fallback: b}\n  b: {type: memory, fallback: a}", "diverted only once"),
    ],
)
def test_a_fallback_is_another_sink_without_one(tmp_path: Path, sinks: str, mistake: str | None) -> None:
    found = mistakes(tmp_path, f"sinks:\n  {sinks}\nroutes:\n  r: {{to: [a]}}\n")
    if mistake is None:
        assert found == []
    else:
        assert any(mistake in each for each in found), found


def test_a_sink_that_is_only_a_fallback_is_used(tmp_path: Path) -> None:
    text = "sinks:\n  a: {type: memory, fallback: b}\n  b: {type: memory}\nroutes:\n  r: {to: [a]}\n"
    assert load(write(tmp_path, text), {}).warnings == ()
    assert load(write(tmp_path, text), {}).started == {"a", "b"}


def test_dead_letters_have_no_fallback(tmp_path: Path) -> None:
    text = (
        "sinks:\n  a: {type: memory}\n  dead: {type: memory, fallback: spare}\n  spare: {type: memory}\n"
        "routes:\n  r: {to: [a], dead_letter: dead}\n"
    )
    [found] = mistakes(tmp_path, text)
    assert "sinks.dead.fallback: this sink takes the dead letters of route 'r', which go nowhere else" in found


def test_a_route_to_a_sink_that_keeps_the_order_of_keys_has_a_key(tmp_path: Path) -> None:
    """Without one every event would be refused."""
    text = """
        sinks: {a: {type: memory, order: key}}
        routes:
          orders: {to: [a]}
          keyed: {to: [a], key: /customer}
    """
    [mistake] = mistakes(tmp_path, text)
    assert "routes.orders.to[0]: sink 'a' keeps the order of keys; give the route a `key`" in mistake


@pytest.mark.parametrize(("queue", "told"), [("q.fifo", False), ("q", True)])
def test_a_route_needs_no_key_where_the_messages_of_its_source_have_one(tmp_path: Path, queue: str, told: bool) -> None:
    text = f"""
        sinks:
          a: {{type: memory, order: key}}
          dead: {{type: file, path: dead}}
        routes:
          orders: {{to: [a], dead_letter: dead}}
        sources:
          in: {{type: sqs, queue: {queue}, region: eu-west-1, route: orders, codec: json}}
    """
    path = tmp_path / "penstock.yaml"
    path.write_text(text)
    if told:
        with pytest.raises(ConfigError, match="give the route a `key`"):
            load(path, {})
    else:
        load(path, {})


def test_a_fallback_has_time_for_a_call_within_the_patience_of_the_sink_it_stands_in_for(tmp_path: Path) -> None:
    """A diverted event keeps its deadline, and no call begins that could outlive it."""
    text = """
        sinks:
          a: {type: memory, patience: 5s, call_timeout: 1s, fallback: b}
          b: {type: memory, patience: 20s, call_timeout: 5s}
        routes: {orders: {to: [a]}}
    """
    [mistake] = mistakes(tmp_path, text)
    assert "sinks.a.fallback: a call of 'b' may take 5s; patience must be longer" in mistake


def test_a_fallback_is_no_sink_that_the_event_goes_to_anyway(tmp_path: Path) -> None:
    """It would have each diverted event twice."""
    text = """
        sinks:
          a: {type: memory, fallback: b}
          b: {type: memory}
        routes: {orders: {to: [a, b]}}
    """
    [mistake] = mistakes(tmp_path, text)
    assert "sinks.a.fallback: route 'orders' goes to 'b' anyway: what is diverted would arrive twice" in mistake


def test_the_dead_letters_of_a_source_go_nowhere_else_either(tmp_path: Path) -> None:
    found = mistakes(
        tmp_path,
        """
        sinks:
          a: {type: memory}
          dead: {type: file, path: dead, fallback: spare}
          spare: {type: file, path: spare}
          letters: {type: file, path: letters}
        routes:
          orders: {types: ["*"], to: [a], dead_letter: letters}
        sources:
          in: {type: kafka, brokers: "b:9092", group: g, topics: {t: events}, codec: json, dead_letter: dead}
        """,
    )
    assert found == [
        "penstock.yaml:3: sinks.dead.fallback: this sink takes the dead letters of source 'in', which go nowhere else"
    ]
