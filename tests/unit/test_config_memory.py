"""Memory and disk are divided among lanes and workers, or it is said why they cannot be."""

from pathlib import Path

import pytest

from service.config import load
from tests.unit.written import mistakes, routes, write


def test_lanes_share_a_third_of_the_memory(tmp_path: Path) -> None:
    config = load(write(tmp_path, "server: {memory: 64MiB}\n" + routes("  o: {to: [a, b, c, d]}")), {})
    assert {sink.memory for sink in config.sinks.values()} == {64 * 2**20 // 3 // 4}


def test_a_lane_that_says_what_it_needs_gets_it_and_the_others_share_the_rest(tmp_path: Path) -> None:
    text = "server: {memory: 96MiB}\n" + routes("  o: {to: [a, b, c]}", "a b c")
    config = load(write(tmp_path, text.replace("a: {type: memory}", "a: {type: memory, memory: 20MiB}")), {})
    assert {name: sink.memory // 2**20 for name, sink in config.sinks.items()} == {"a": 20, "b": 6, "c": 6}


@pytest.mark.parametrize(("asked", "fits"), [("32640KiB", True), ("32641KiB", False), ("33MiB", False)])
def test_lanes_may_not_ask_for_more_than_there_is(tmp_path: Path, asked: str, fits: bool) -> None:
    """A third of 96MiB is 32768KiB: what one lane asks for, and at least 64KiB for each of the two others."""
    text = "server: {memory: 96MiB}\n" + routes("  o: {to: [a, b, c]}", "a b c")
    found = mistakes(tmp_path, text.replace("a: {type: memory}", f"a: {{type: memory, memory: {asked}}}"))
    assert bool(found) != fits
    assert all(
        mistake.startswith("penstock.yaml:1: server.memory: its third for the lanes, 32MiB") for mistake in found
    )


@pytest.mark.parametrize(("ack", "told"), [("stored", True), ("delivered", False)])
def test_each_worker_has_a_journal_that_is_large_enough(tmp_path: Path, ack: str, told: bool) -> None:
    text = f"""
    server: {{workers: 3}}
    journal: {{max_bytes: 47MiB}}
    sinks: {{a: {{type: memory}}, b: {{type: memory}}}}
    routes: {{orders: {{ack: {ack}, to: [a], dead_letter: b}}}}
    """
    found = mistakes(tmp_path, text) if told else []
    assert told == any("journal.max_bytes: 3 workers need 16MiB each: at least 48MiB" in each for each in found)
    if not told:
        load(write(tmp_path, text), {})
