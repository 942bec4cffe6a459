"""`penstock journal` as its users have it: beside the service, after it, and when something is wrong."""

import json
import signal
import sqlite3
import subprocess
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.conservation import assert_conserved, samples, total
from tests.integration.command import COMMAND, Serving, environment, penstock
from tests.integration.workers import until

CONFIGURATION = """
server: {{workers: {workers}, drain_timeout: 10s, request_timeout: 3s}}
journal: {{path: journal, volume: ephemeral}}
sinks:
  away: {{type: "tests.integration.gated_sink:Gated", path: {folder}/taken, gate: {folder}/gate, {timeouts}}}
  other: {{type: "tests.integration.gated_sink:Gated", path: {folder}/others, gate: {folder}, {timeouts}}}
  dead: {{type: file, path: dead, {timeouts}}}
routes:
  {route}: {{ack: {ack}, id: /n, to: [{to}], dead_letter: dead}}
"""
TIMEOUTS = "call_timeout: 500ms, patience: 1s"
EVENTS = 25


class Place:
    """A folder with a configuration, and what of it a test wants to see."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.configure()

    def configure(self, workers: int = 1, route: str = "orders", to: str = "away, other", ack: str = "stored") -> None:
        """Write the configuration."""
        text = CONFIGURATION.format(folder=self.folder, workers=workers, route=route, to=to, ack=ack, timeouts=TIMEOUTS)
        (self.folder / "penstock.yaml").write_text(text)

    def open_gate(self) -> None:
        """The destination `away` is there from now on."""
        (self.folder / "gate").touch()

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """`penstock journal` with these arguments, to its end."""
        return penstock("journal", *arguments, folder=self.folder)

    def journals(self) -> list[dict[str, Any]]:
        """What `status --json` says."""
        found: list[dict[str, Any]] = json.loads(self.command("status", "--json").stdout)["journals"]
        return found

    def taken(self, name: str = "taken") -> Counter[int]:
        """How often each event is at a destination."""
        path = self.folder / name
        return Counter(json.loads(line)["n"] for line in path.read_text().splitlines()) if path.exists() else Counter()

    def letters(self) -> list[dict[str, Any]]:
        """The dead letters."""
        lines = [line for path in (self.folder / "dead").iterdir() for line in path.read_bytes().splitlines()]
        return [json.loads(line) for line in lines]

    def leave(self) -> None:
        """Store events for a destination that is away, and end the service."""
        with Serving("serve", folder=self.folder) as serving:
            self.store(serving)
            serving.signal(signal.SIGTERM)
            serving.end_well()

    def store(self, serving: Serving) -> None:
        """Store events, and wait until the sink that is there has them."""
        status, answer = serving.post("orders", [{"n": n} for n in range(EVENTS)])
        assert status == 202
        assert {result["status"] for result in answer["results"]} == {"stored"}
        until(lambda: sum(self.taken("others").values()) == EVENTS)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


ONCE = Counter(range(EVENTS))


def test_status_reads_beside_the_service_and_the_books_balance(place: Place) -> None:
    assert "there is no journal" in place.command("status").stdout
    with Serving("serve", folder=place.folder) as serving:
        assert serving.post("orders", {"n": {}})[0] == 422
        place.store(serving)
        until(lambda: [each["sink"] for each in place.journals()[0]["waiting"]] == ["away"])
        (found,) = place.journals()
        (waiting,) = found["waiting"]
        assert (waiting["route"], waiting["events"], waiting["orphan"]) == ("orders", EVENTS, False)
        assert 0 < waiting["oldest_seconds"] <= found["oldest_seconds"] < 60
        assert (found["pid"], found["worker"], found["troubles"]) == (serving.process.pid, 0, [])
        assert found["used_bytes"] > 0 < found["free_bytes"]
        shown = place.command("status")
        assert (shown.returncode, f"used by process {serving.process.pid}" in shown.stdout) == (0, True)
        assert f"orders  away  {EVENTS}" in shown.stdout
        checked = place.command("verify")
        assert (checked.returncode, f"sound; {EVENTS} events" in checked.stdout) == (0, True)
        page = samples(serving.get("/metrics"))
        assert total(page, "penstock_journal_events_stored_total", route="orders") == EVENTS
        assert total(page, "penstock_journal_events_waiting", sink="away", route="orders") == EVENTS
        assert_conserved(page)
        stored = json.loads(serving.get("/status"))["journal"]
        assert (stored["trouble"], stored["used_bytes"] > 0) == (None, True)
        assert {"sink": "away", "route": "orders", "events": EVENTS} in stored["waiting"]


def test_drain_leaves_a_journal_in_use_alone(place: Place) -> None:
    with Serving("serve", folder=place.folder) as serving:
        place.store(serving)
        done = place.command("drain")
        assert done.returncode == 1
        assert f"is used by process {serving.process.pid}: stop the service first" in done.stderr


def test_drain_delivers_what_is_left_each_event_once(place: Place) -> None:
    place.leave()
    late = place.command("drain", "--timeout", "500ms")
    assert late.returncode == 1
    assert f"{EVENTS} events of route 'orders' for sink 'away' left" in late.stderr
    assert place.journals()[0]["waiting"][0]["events"] == EVENTS
    place.open_gate()
    done = place.command("drain")
    assert (done.returncode, "all empty" in done.stdout) == (0, True), done.stderr
    assert "... worker-0: 0 left" in done.stderr
    assert place.taken() == place.taken("others") == ONCE
    assert place.journals()[0]["waiting"] == []
    assert place.command("drain").returncode == 0, "nothing is left to do"


def test_a_signal_ends_a_drain_and_what_is_left_stays(place: Place) -> None:
    place.leave()
    with subprocess.Popen(
        [*COMMAND, "journal", "drain"], cwd=place.folder, env=environment(), stderr=subprocess.PIPE, text=True
    ) as draining:
        assert draining.stderr is not None
        while "left" not in draining.stderr.readline():
            assert draining.poll() is None
        draining.send_signal(signal.SIGTERM)
        _, rest = draining.communicate(timeout=30)
        assert (draining.returncode, f"{EVENTS} events of route" in rest) == (1, True)
    assert place.journals()[0]["waiting"][0]["events"] == EVENTS


def test_a_route_that_does_not_store_any_more_is_drained_all_the_same(place: Place) -> None:
    place.leave()
    place.open_gate()
    place.configure(ack="delivered")
    assert place.command("status").returncode == 0
    done = place.command("drain")
    assert (done.returncode, place.taken()) == (0, ONCE), done.stderr


def test_a_route_that_does_not_store_any_more_is_delivered_by_the_service(place: Place) -> None:
    place.leave()
    place.open_gate()
    place.configure(ack="delivered")
    with Serving("serve", folder=place.folder) as serving:
        until(lambda: place.taken() == ONCE)
        serving.signal(signal.SIGTERM)
        serving.end_well()


def test_of_two_workers_the_one_that_is_left_delivers_what_both_have_stored(place: Place) -> None:
    place.configure(workers=2)
    with Serving("serve", folder=place.folder) as serving:
        for number in range(EVENTS):
            assert serving.post("orders", {"n": number})[0] == 202
        serving.signal(signal.SIGTERM)
        serving.end_well()
    waiting = [each["events"] for found in place.journals() for each in found["waiting"] if each["sink"] == "away"]
    assert (len(waiting), sum(waiting)) == (2, EVENTS), "each worker has stored some"
    place.configure(workers=1)
    place.open_gate()
    with Serving("serve", folder=place.folder) as serving:
        until(lambda: place.taken() == ONCE)
        until(lambda: [found["worker"] for found in place.journals()] == [0])
        serving.signal(signal.SIGTERM)
        serving.end_well()


def test_the_journal_of_a_worker_that_is_no_more_is_adopted(place: Place) -> None:
    place.leave()
    journal = place.folder / "journal"
    (journal / "worker-0").rename(journal / "worker-3")
    place.open_gate()
    with Serving("serve", folder=place.folder) as serving:
        until(lambda: place.taken() == ONCE)
        until(lambda: not (journal / "worker-3").exists())
        serving.signal(signal.SIGTERM)
        serving.end_well()


def test_folders_that_no_worker_reads_are_told_and_drained(place: Place) -> None:
    place.leave()
    journal = place.folder / "journal"
    (journal / "worker-0").rename(journal / "worker-3")
    shown = place.command("status")
    assert shown.returncode == 1
    assert "no worker reads it until" in shown.stdout
    place.open_gate()
    assert place.command("drain").returncode == 0
    assert place.taken() == ONCE
    assert place.command("status").returncode == 0


@pytest.mark.parametrize(("route", "to"), [("orders", "other"), ("renamed", "away, other")])
def test_what_has_no_way_any_more_stops_or_becomes_dead_letters(place: Place, route: str, to: str) -> None:
    place.leave()
    place.configure(route=route, to=to)
    for command in (penstock("serve", folder=place.folder), place.command("drain")):
        assert command.returncode == 1
        for words in (f"{EVENTS} events of route 'orders' for sink 'away'", "put it back", "--orphans-to SINK"):
            assert words in command.stderr
    shown = place.command("status")
    assert (shown.returncode, "the service does not start" in shown.stdout) == (1, True)
    assert [each["orphan"] for each in place.journals()[0]["waiting"]] == [True]
    assert place.command("drain", "--orphans-to", "nobody").returncode == 2
    done = place.command("drain", "--orphans-to", "dead")
    assert done.returncode == 0, done.stderr
    letters = place.letters()
    assert {(each["route"], each["sink"], each["reason"]) for each in letters} == {("orders", "away", "orphaned")}
    assert Counter(json.loads(each["body"])["n"] for each in letters) == ONCE
    assert place.journals()[0]["waiting"] == []
    with Serving("serve", folder=place.folder):
        pass


def test_what_is_damaged_is_told_and_stays_and_the_rest_is_delivered(place: Place) -> None:
    place.leave()
    with Serving("serve", folder=place.folder) as serving:
        assert serving.post("orders", {"n": EVENTS})[0] == 202
        until(lambda: sum(place.taken("others").values()) == EVENTS + 1)
        serving.signal(signal.SIGTERM)
        serving.end_well()
    with closing(sqlite3.connect(place.folder / "journal" / "worker-0" / "journal.db")) as sql, sql:
        # a damaged page: the bytes are others, and of another type
        sql.execute("UPDATE batches SET body = substr(body, 1, length(body) - 1) || 'x' WHERE events = 1")
    checked = place.command("verify")
    assert checked.returncode == 1
    assert f"DAMAGED; {EVENTS} events in 1 row can be read, 1 event in 1 row cannot" in checked.stdout
    assert (
        f"route 'orders', position {EVENTS + 1}: 1 event cannot be read: the checksum does not hold" in checked.stdout
    )
    place.open_gate()
    done = place.command("drain")
    assert done.returncode == 1
    assert "1 left, 1 of them cannot be read" in done.stderr
    assert "1 event of route 'orders' for sink 'away' left" in done.stderr
    assert place.taken() == ONCE
    assert place.command("verify").returncode == 1, "it is still there"
