"""Workers as one: when the service lives and is ready, and what became of what a dead worker held."""

from functools import partial
from pathlib import Path
from typing import Any

import pytest

from service.config import Config, load
from service.delivery.health import Phase
from service.telemetry.meter import Meter
from service.telemetry.snapshot import Snapshot
from service.workers.channel import Assignment
from service.workers.crew import Crew, loss
from service.workers.seat import SILENT_SECONDS, Seat
from tests.unit.written import write

ROUTES = """
sinks: {a: {type: memory, fallback: f}, f: {type: memory}, best: {type: memory}, dead: {type: memory}}
routes: {orders: {to: [a, {sink: best, required: false}], dead_letter: dead}}
"""
STORED = ROUTES.replace("orders: {", "orders: {ack: stored, ")


class Seated(Seat):
    """A seat whose worker is as a test says."""

    def __init__(self, number: int) -> None:
        super().__init__(Assignment(number, 2, 0, "{}", None), lambda sink, route: ("", ""))
        self.said = "serving"
        self.silent = False

    @property
    def state(self) -> str:
        return self.said

    @property
    def stuck(self) -> bool:
        return self.silent

    def reports(self, **trouble: Any) -> None:
        self.snapshot = Snapshot("serving", Meter(), [], {}, [trouble] if trouble else [])


def config(folder: Path, server: str = "{}") -> Config:
    return load(write(folder, f"server: {server}\n{ROUTES}"), {})


def crew(config: Config) -> tuple[Crew, Seated, Seated]:
    first, second = Seated(0), Seated(1)
    for seat in (first, second):
        seat.reports()
    made = Crew(config, [first, second])
    made.phase = Phase.SERVING
    return made, first, second


def test_it_is_ready_when_every_worker_serves(tmp_path: Path) -> None:
    all_of_them, _, second = crew(config(tmp_path))
    assert all_of_them.readyz() == (200, {"status": "ready"})
    second.said = "down"
    status, body = all_of_them.readyz()
    (reason,) = body["reasons"]
    assert (status, body["status"]) == (503, "short_of_workers")
    assert (reason["worker"], reason["state"]) == (1, "down")
    assert reason["since"].endswith("+00:00")
    assert reason["do"].startswith("Read the log")
    assert all_of_them.known().troubles == body["reasons"]


@pytest.mark.parametrize("phase", [Phase.STARTING, Phase.DRAINING])
def test_it_is_not_ready_before_all_serve_nor_while_they_drain(tmp_path: Path, phase: Phase) -> None:
    all_of_them, _, _ = crew(config(tmp_path))
    all_of_them.phase = phase
    assert all_of_them.readyz() == (503, {"status": phase.value})
    assert all_of_them.livez()[0] == 200


@pytest.mark.parametrize(("server", "status"), [("{}", 200), ("{readiness: strict}", 503)])
def test_the_trouble_of_a_destination_names_the_worker(tmp_path: Path, server: str, status: int) -> None:
    all_of_them, first, _ = crew(config(tmp_path, server))
    first.reports(sink="a", state="failing")
    trouble = {"worker": 0, "sink": "a", "state": "failing"}
    assert all_of_them.readyz() == (status, {"status": "degraded", "reasons": [trouble]})
    assert all_of_them.known().troubles == [trouble]


def test_a_worker_that_is_stuck_is_told_as_a_single_process_would_be(tmp_path: Path) -> None:
    all_of_them, first, _ = crew(config(tmp_path))
    assert all_of_them.livez() == (200, {"status": "alive"})
    first.silent = True
    assert all_of_them.livez() == (503, {"status": "stuck", "workers": [0]})


def test_a_seat_is_stuck_when_its_worker_has_been_silent_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr("service.workers.seat.time.monotonic", lambda: now[0])
    seat = Seat(Assignment(0, 2, 0, "{}", None), lambda sink, route: ("", ""))
    now[0] += SILENT_SECONDS * 2
    assert not seat.stuck, "it has not served yet"
    assert seat.state == "down"
    seat.snapshot, seat._heard_at = Snapshot("serving", Meter(), [], {}, []), now[0]
    now[0] += SILENT_SECONDS - 1
    assert not seat.stuck
    now[0] += 2
    assert seat.stuck


async def test_all_are_asked_for_what_they_have_and_waited_for_as_the_documents_say(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    all_of_them, first, second = crew(config(tmp_path))
    waited: list[tuple[int, float]] = []

    async def refresh(seat: Seat, seconds: float) -> None:
        waited.append((seat.number, seconds))

    monkeypatch.setattr(Seat, "refresh", refresh)
    await all_of_them.snapshot()
    assert waited == [(first.number, 0.5), (second.number, 0.5)]


@pytest.mark.parametrize(
    ("sink", "fate"), [("a", "expired"), ("f", "expired"), ("best", "dropped"), ("dead", "dropped")]
)
def test_what_required_sinks_were_owed_is_the_producers_again_and_the_rest_lost(
    tmp_path: Path, sink: str, fate: str
) -> None:
    assert partial(loss, config(tmp_path))(sink, "orders") == (fate, "worker_lost")


@pytest.mark.parametrize("sink", ["a", "f", "best", "dead"])
def test_what_was_stored_the_journal_still_has_whatever_sink_was_owed_it(tmp_path: Path, sink: str) -> None:
    stored = load(write(tmp_path, STORED), {})
    assert loss(stored, sink, "orders") == ("expired", "worker_lost")
