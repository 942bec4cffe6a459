"""`/status`: what an operator asks first is all there, says the truth, and quotes no event; the document shows it."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from service.admin.balance import astray
from service.admin.moment import moment
from service.admin.status import MOST_ENDS, Status, configuration
from service.admin.subject import Answer
from service.config.settings import RouteConfig
from service.delivery.remedies import JOURNAL_FULL, REMEDIES, SOURCE_FAILING, WORKER_AWAY
from service.outcome import Reason
from service.telemetry.conservation import Off
from service.telemetry.histogram import LANE_SECONDS, Histogram
from service.telemetry.journal import JournalGauges
from service.telemetry.lag import LoopGauges
from service.telemetry.lane import LaneGauges
from service.telemetry.meter import LaneTimes, Last, Meter
from service.telemetry.snapshot import Snapshot
from service.telemetry.source import SourceGauges
from service.telemetry.standing import Standing, State

PAGE = Path(__file__).parents[2] / "docs" / "observe.md"
ROUTES = {
    "orders": RouteConfig.model_validate({"types": ["com.example.order.*"], "to": ["lake"], "dead_letter": "dead"}),
    "audit": RouteConfig.model_validate({"ack": "stored", "to": [{"sink": "lake", "required": False}]}),
}


class Shown:
    """A subject that is as a test says."""

    def __init__(self, snapshot: Snapshot, workers: list[dict[str, Any]]) -> None:
        self.found = snapshot
        self._workers = workers

    async def snapshot(self) -> Snapshot:
        return self.found

    def livez(self) -> Answer:
        return 200, {}

    def readyz(self) -> Answer:
        return 200, {}

    def workers(self) -> list[dict[str, Any]]:
        return self._workers


def lane(sink: str, **more: Any) -> LaneGauges:
    return LaneGauges(sink, 1, 1000, 2, 8, 30, 500, 0.02, 1.5, "closed", **more)


def full() -> Snapshot:
    """One that has everything."""
    meter = Meter()
    meter.edge_received["http", "orders"] = 10
    meter.edge_rejected["http", "orders", "schema_violation"] = 2
    meter.edge_received["msk", "audit"] = 5
    meter.journal_stored["audit"] = 5
    meter.lane_received["lake", "orders"] = 8
    meter.lane_settled["lake", "orders", "delivered", ""] = 6
    meter.lane_settled["lake", "orders", "dead_lettered", "too_large"] = 1
    meter.lane_held["lake", "orders"] = 1
    meter.lane_received["dead", "orders"] = 1
    meter.lane_settled["dead", "orders", "delivered", ""] = 1
    meter.lane_retries["lake", "throttled"] = 3
    meter.lanes["lake"] = LaneTimes()
    meter.note_last("http", "orders", "refused", "schema_violation", "e-7", '"4000-1234" is no number')
    meter.note_last("lake", "orders", "dead_lettered", "too_large", "e-8", "above 1 MiB")
    recent = Histogram(LANE_SECONDS)
    recent.observe(0.05, 99)
    recent.observe(2.0)
    since = "2026-03-01T09:00:00+00:00"
    troubles: list[dict[str, Any]] = [
        {"journal": "it has 9 of journal.max_bytes = 9", "state": "full", "since": since, "do": JOURNAL_FULL},
        {
            "sink": "lake",
            "state": "throttled",
            "reason": "throttled",
            "since": since,
            "do": REMEDIES[Reason.THROTTLED],
        },
        {"source": "msk", "state": "failing", "reason": "no broker", "since": since, "do": SOURCE_FAILING},
        {"worker": 1, "state": "down", "since": since, "do": WORKER_AWAY},
    ]
    return Snapshot(
        "serving",
        meter,
        [
            lane(
                "lake",
                held_events=1,
                last_failure="throttled",
                failures=2,
                fallback="dead",
                standing=Standing(State.THROTTLED, 0.0, "throttled"),
            ),
            lane("dead"),
        ],
        {"lake": {"kinesis_records": 4}},
        troubles,
        JournalGauges(9, 9, 99, 0, 4.0, {("lake", "audit"): 5}, "it has 9 of journal.max_bytes = 9"),
        [SourceGauges("msk", "no broker", 70)],
        LoopGauges(0.031, 1_772_355_600.0),
        {"lake": recent},
    )


WORKERS = [{"worker": 0, "pid": 71, "state": "serving", "replaced": 0, "heard_seconds_ago": 0.4}]


async def shown(found: Snapshot, workers: list[dict[str, Any]] = WORKERS) -> dict[str, Any]:
    status = Status(Shown(found, workers), ROUTES, configuration(Path("/etc/penstock.yaml"), {"sinks": {}}))
    made: dict[str, Any] = json.loads(json.dumps(await status.shown()))
    return made


def shape(value: Any, at: str = "") -> set[str]:
    """Every place in a document, and the type there; members of lists stand for each other."""
    match value:
        case dict():
            return {place for name, each in value.items() for place in shape(each, f"{at}/{name}")} | {at}
        case list():
            return {place for each in value for place in shape(each, f"{at}[]")} | {at}
        case _:
            return {at}


async def test_the_document_shows_what_there_is() -> None:
    example = re.search(r"^## Status$.*?^```json\n(.*?)^```$", PAGE.read_text("utf-8"), re.DOTALL | re.MULTILINE)
    assert example is not None
    assert shape(json.loads(example[1])) == shape(await shown(full()))


async def test_it_says_what_runs_and_how_it_does() -> None:
    found = await shown(full())
    assert found["configuration"]["origin"] == "/etc/penstock.yaml"
    assert re.fullmatch(r"[0-9a-f]{16}", found["configuration"]["digest"])
    assert found["loop"] == {"worst_lag_seconds": 0.031, "stuck_since": "2026-03-01T09:00:00+00:00"}
    assert found["conservation"] == {"balanced": True, "off": []}
    assert found["lanes"]["lake"]["state"] == "throttled"
    assert found["lanes"]["dead"]["state"] == "healthy"
    assert found["lanes"]["lake"]["last_minute"] == {"delivered": 100, "p50_seconds": 0.05, "p99_seconds": 0.05}
    assert found["lanes"]["dead"]["last_minute"] == {"delivered": 0, "p50_seconds": None, "p99_seconds": None}
    assert (found["http"]["received"], found["http"]["refused"]) == (10, 2)
    assert (found["sources"]["msk"]["received"], found["sources"]["msk"]["refused"]) == (5, 0)
    assert found["lanes"]["lake"]["retried"] == 3


async def test_the_last_bad_ends_are_told_without_words_that_quote_an_event() -> None:
    found = full()
    found.meter.note_last("lake", "orders", "dead_lettered", "invalid", "e-9", '"4000-1234" is no number')
    text = await shown(found)
    assert "4000-1234" not in json.dumps(text)
    by_id = {each["id"]: each for each in text["last"]}
    assert by_id["e-8"]["detail"] == "above 1 MiB"
    assert (by_id["e-7"]["source"], by_id["e-7"]["reason"]) == ("http", "schema_violation")
    assert [name for name, each in by_id.items() if "detail" in each] == ["e-8"]


async def test_only_so_many_last_ends_are_told_the_latest_first() -> None:
    found = full()
    for number in range(100):
        found.meter.last[f"sink{number}", "orders", "expired", "timeout"] = Last(1000.0 * number, f"e{number}", "")
    found.meter.last.pop(("http", "orders", "refused", "schema_violation"))
    found.meter.last.pop(("lake", "orders", "dead_lettered", "too_large"))
    told = (await shown(found))["last"]
    assert [each["id"] for each in told] == [f"e{99 - number}" for number in range(MOST_ENDS)]


async def test_one_process_has_no_workers_no_journal_and_no_sources_to_tell_of() -> None:
    found = full()
    found.journal, found.sources = None, []
    assert {"workers", "journal", "sources"} & set(await shown(found, [])) == set()


@pytest.mark.parametrize(
    ("counter", "key", "where", "route", "events"),
    [
        ("lane_held", ("lake", "orders"), "lake", "orders", -1),
        ("lane_received", ("dead", "orders"), "dead", "orders", 1),
        ("journal_stored", "audit", "journal", "audit", -1),
        ("edge_received", ("http", "orders"), "lake", "orders", 1),
    ],
)
async def test_books_that_do_not_balance_say_where(counter: str, key: Any, where: str, route: str, events: int) -> None:
    found = full()
    getattr(found.meter, counter)[key] += 1
    told = (await shown(found))["conservation"]
    assert told == {"balanced": False, "off": [{"where": where, "route": route, "events": events}]}


def off_at_the_edge(found: Snapshot, routes: dict[str, RouteConfig]) -> list[Off]:
    return astray(moment(found, 0.0, 0.0), routes)


def test_an_event_that_never_came_to_a_lane_is_missed_there() -> None:
    found = full()
    found.meter.edge_received["http", "orders"] += 1
    assert [(off.where, off.route, off.events) for off in off_at_the_edge(found, ROUTES)] == [("lake", "orders", 1)]


@pytest.mark.parametrize("fallback", ["dead", None])
@pytest.mark.parametrize("letters", ["dead", None])
def test_what_others_divert_or_bury_there_is_not_too_much(fallback: str | None, letters: str | None) -> None:
    found = full()
    found.lanes = [lane("lake", fallback=fallback), lane("dead")]
    found.meter.lane_received["dead", "orders"] += 5
    found.meter.lane_held["dead", "orders"] += 5
    to = {"to": ["lake", "dead"]}
    routes = {
        "orders": RouteConfig.model_validate(to),
        "other": RouteConfig.model_validate({"to": ["lake"], "dead_letter": letters}),
    }
    assert bool(off_at_the_edge(found, routes)) is (fallback is None and letters is None)


def test_the_digest_is_that_of_the_configuration_whatever_its_order() -> None:
    one = configuration(None, {"a": 1, "b": {"c": 2, 3: 4}})
    same = configuration(Path("x"), {"b": {3: 4, "c": 2}, "a": 1})
    assert one.digest == same.digest != configuration(None, {"a": 2}).digest
    assert (one.origin, same.origin) == (None, "x")
