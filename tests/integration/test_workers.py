"""Workers under a supervisor as real processes: they share the load, die, are replaced, and end together."""

import asyncio
import json
import os
import signal
import socket
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.conservation import assert_conserved, samples, total
from tests.integration.command import Serving, penstock
from tests.integration.workers import (
    PRODUCERS,
    TWO,
    Load,
    all_serve,
    counters,
    gone,
    pids,
    status,
    stopped,
    taken,
    until,
    written,
)


async def test_both_workers_take_connections_and_their_books_are_one(tmp_path: Path) -> None:
    written(tmp_path)
    with Serving("serve", folder=tmp_path, more=TWO) as serving:
        load = Load(serving.url)
        running = asyncio.create_task(load.run())
        await load.reaches(500)
        load.stopped = True
        await running
        found = samples(await asyncio.to_thread(serving.get, "/metrics"))
        count = len(load.acknowledged)
        assert total(found, "penstock_events_received_total") == count, "a scrape asks for what is counted now"
        assert total(found, "penstock_lane_events_settled_total", outcome="delivered") == count
        assert total(found, "penstock_http_request_duration_seconds_count", status="200") == count
        assert_conserved(found)
        capacity = total(found, "penstock_lane_capacity_bytes")
        serving.signal(signal.SIGTERM)
        serving.end_well()
    assert capacity == 64 * 2**20, "all workers together hold what the sink may"
    by_worker = taken(tmp_path)
    assert len(by_worker) == 2
    assert sorted(load.acknowledged) == sorted(number for numbers in by_worker.values() for number in numbers)
    lines = [json.loads(line) for line in serving.said if line.startswith("{")]
    assert [line["message"] for line in lines].count("serving") == 1
    assert {line.get("worker") for line in lines if line["message"] == "drained"} == {None, 0, 1}


async def test_killed_under_load_a_worker_is_replaced_and_nothing_acknowledged_is_missing(tmp_path: Path) -> None:
    written(tmp_path, takes="30ms")
    with Serving("serve", folder=tmp_path, more=TWO) as serving:
        load = Load(serving.url)
        running = asyncio.create_task(load.run())
        await load.reaches(1000)
        before = counters(samples(await asyncio.to_thread(serving.get, "/metrics")))
        (victim, other) = await asyncio.to_thread(pids, serving)
        os.kill(victim, signal.SIGKILL)
        reached, readiness = len(load.acknowledged), set[str]()
        async with asyncio.timeout(30):
            while True:
                after = counters(samples(await asyncio.to_thread(serving.get, "/metrics")))
                assert not {name for name, value in before.items() if after[name] < value}
                before = after
                readiness |= await asyncio.to_thread(_reasons, serving)
                if await asyncio.to_thread(all_serve, serving) and victim not in await asyncio.to_thread(pids, serving):
                    break
        await load.reaches(reached + 1000)
        load.stopped = True
        await running
        fresh = Load(serving.url)
        running = asyncio.create_task(fresh.run())
        await fresh.reaches(500)
        fresh.stopped = True
        await running
        found = samples(await asyncio.to_thread(serving.get, "/metrics"))
        assert_conserved(found)
        shown = (await asyncio.to_thread(status, serving))["workers"]
        serving.signal(signal.SIGTERM)
        serving.end_well()
    assert [each["replaced"] for each in shown] == [1, 0]
    assert shown[1]["pid"] == other
    assert "worker 0 starting" in readiness
    assert set(load.statuses) == {200}
    assert load.broken >= 1, "those who were connected to it notice"
    by_worker = taken(tmp_path)
    assert len(by_worker) == 3, "the new worker takes its part of new connections"
    assert set(load.acknowledged) <= {number for numbers in by_worker.values() for number in numbers}
    assert any('"ended":"signal 9"' in line and '"worker":0' in line for line in serving.said)


def test_what_a_worker_held_when_it_was_killed_is_counted_and_no_answer_says_it_is_safe(tmp_path: Path) -> None:
    written(tmp_path, takes="5s")
    with Serving("serve", folder=tmp_path, more=TWO) as serving, ThreadPoolExecutor(PRODUCERS) as pool:
        victim = pids(serving)[0]
        answers = [pool.submit(serving.post, "orders", {"number": each}) for each in range(PRODUCERS)]
        until(lambda: status(serving)["lanes"]["lake"]["held_events"] == PRODUCERS)
        os.kill(victim, signal.SIGKILL)
        broken = sum(isinstance(answer.exception(), ConnectionError) for answer in answers)
        assert {answer.result()[0] for answer in answers if answer.exception() is None} == {200}
        found = samples(serving.get("/metrics"))
        assert_conserved(found)
        settled = "penstock_lane_events_settled_total"
        assert total(found, settled, outcome="expired", reason="worker_lost") == broken
        assert total(found, settled, outcome="delivered") == PRODUCERS - broken
        serving.signal(signal.SIGTERM)
        serving.end_well()
    assert 0 < broken < PRODUCERS
    assert sum(map(len, taken(tmp_path).values())) == PRODUCERS - broken


def _reasons(serving: Serving) -> set[str]:
    """Why it is not ready."""
    with socket.create_connection(("127.0.0.1", int(serving.admin.rpartition(":")[2]))) as connection:
        connection.sendall(b"GET /readyz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        answer = b"".join(iter(lambda: connection.recv(4096), b""))
    head, _, body = answer.partition(b"\r\n\r\n")
    found = json.loads(body)
    reasons = {f"worker {each['worker']} {each['state']}" for each in found.get("reasons", ())}
    assert (b" 503 " in head) == bool(reasons)
    return reasons


def test_a_worker_that_dies_again_and_again_is_waited_for_longer_each_time(tmp_path: Path) -> None:
    written(tmp_path)
    with Serving("serve", folder=tmp_path, more=TWO) as serving:
        pauses = []
        for _ in range(3):
            until(lambda: all_serve(serving))
            os.kill(pids(serving)[1], signal.SIGKILL)
            pauses.append(serving.until("a worker ended; another takes its place")["pause_seconds"])
        assert pauses == [0.5, 1.0, 2.0]
        assert _reasons(serving) == {"worker 1 down"}
        serving.signal(signal.SIGTERM)
        serving.end_well()  # also while one is being waited for


def test_a_quota_is_divided_among_workers_and_together_they_let_in_no_more(tmp_path: Path) -> None:
    written(tmp_path)
    with (tmp_path / "penstock.yaml").open("a") as file:
        file.write("quotas: {routes: {orders: {events_per_second: 0.002, burst: 10000s}}}\n")
    with Serving("serve", folder=tmp_path, more=TWO) as serving:
        answers = [serving.post("orders", {"number": each}) for each in range(80)]  # a connection each
        refused = [answer for status, answer in answers if status == 429]
        assert {status for status, _ in answers} == {200, 429}
        assert len(answers) - len(refused) == 20
        assert {answer["code"] for answer in refused} == {"over_quota"}
        found = samples(serving.get("/metrics"))
        assert total(found, "penstock_quota_refusals_total") == len(refused)
        serving.signal(signal.SIGTERM)
        serving.end_well()
    assert {len(numbers) for numbers in taken(tmp_path).values()} == {10}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_drains_both_side_by_side(tmp_path: Path, number: signal.Signals) -> None:
    written(tmp_path, takes="5s")
    with Serving("serve", folder=tmp_path, more=TWO) as serving, ThreadPoolExecutor(PRODUCERS) as pool:
        answers = [pool.submit(serving.post, "orders", {"number": each}) for each in range(PRODUCERS)]
        until(lambda: status(serving)["lanes"]["lake"]["held_events"] == PRODUCERS)
        serving.signal(number)
        assert {answer.result()[0] for answer in answers} == {200}
        serving.end_well()
    assert len(taken(tmp_path)) == 2
    drained = [json.loads(line) for line in serving.said if '"message":"drained"' in line]
    assert [line["everything_settled"] for line in drained] == [True, True, True]
    lines = [json.loads(line)["message"] for line in serving.said if line.startswith("{")]
    assert [each for each in lines if each in {"draining", "drained"}] == [*["draining"] * 3, *["drained"] * 3]


def test_a_second_signal_ends_all_at_once(tmp_path: Path) -> None:
    written(tmp_path, takes="7s")
    with Serving("serve", folder=tmp_path, more=TWO) as serving, ThreadPoolExecutor(PRODUCERS) as pool:
        answers = [pool.submit(serving.post, "orders", {"number": each}) for each in range(PRODUCERS)]
        until(lambda: status(serving)["lanes"]["lake"]["held_events"] == PRODUCERS)
        serving.signal(signal.SIGTERM)
        serving.until("draining")
        serving.signal(signal.SIGTERM)
        assert serving.end() == 3
        assert {answer.result()[0] for answer in answers} == {503}


def test_workers_do_not_outlive_a_supervisor_that_is_killed_and_drain_what_they_hold(tmp_path: Path) -> None:
    written(tmp_path, takes="5s")
    with Serving("serve", folder=tmp_path, more=TWO) as serving, ThreadPoolExecutor(PRODUCERS) as pool:
        workers = pids(serving)
        answers = [pool.submit(serving.post, "orders", {"number": each}) for each in range(PRODUCERS)]
        until(lambda: status(serving)["lanes"]["lake"]["held_events"] == PRODUCERS)
        serving.signal(signal.SIGKILL)
        assert {answer.result()[0] for answer in answers} == {200}
        until(lambda: all(map(gone, workers)))
        serving.end()
    assert sum("the supervisor is gone" in line for line in serving.said) == 2


def test_the_admin_port_answers_while_a_worker_hangs_and_the_end_does_not_wait_for_it(tmp_path: Path) -> None:
    written(tmp_path, server="drain_timeout: 500ms, body_timeout: 1s")
    with Serving("serve", folder=tmp_path, more=TWO) as serving:
        assert serving.post("orders", {"number": 1})[0] == 200
        known = total(samples(serving.get("/metrics")), "penstock_events_received_total")
        hanging = pids(serving)[0]
        with stopped(hanging):
            for _ in range(3):
                found = samples(serving.get("/metrics"))
                assert total(found, "penstock_events_received_total") == known, "its last report is used"
            assert json.loads(serving.get("/livez"))["status"] == "alive"
            serving.signal(signal.SIGTERM)
            assert serving.end() == 3, "what it held nobody knows"
            assert gone(hanging)


def test_a_port_that_is_taken_is_told_as_ever(tmp_path: Path) -> None:
    written(tmp_path)
    with socket.socket() as taker:
        taker.bind(("127.0.0.1", 0))
        taker.listen()
        port = taker.getsockname()[1]
        done = penstock("serve", folder=tmp_path, more=TWO | {"PENSTOCK__SERVER__PORT": str(port)})
    assert done.returncode == 1
    assert f"server.port: cannot bind 127.0.0.1:{port}: Address already in use; choose another" in done.stderr
    assert "Traceback" not in done.stderr


def test_two_services_do_not_share_a_port_unnoticed(tmp_path: Path) -> None:
    written(tmp_path)
    with Serving("serve", folder=tmp_path, more=TWO) as serving:
        port = serving.url.rpartition(":")[2]
        ports = {"PENSTOCK__SERVER__PORT": port, "PENSTOCK__ADMIN__PORT": "0"}
        done = penstock("serve", folder=tmp_path, more=TWO | ports)
        assert done.returncode == 1
        assert f"server.port: cannot bind 127.0.0.1:{port}" in done.stderr


def test_a_worker_that_dies_at_the_start_ends_the_start(tmp_path: Path) -> None:
    written(tmp_path, sink="Deadly")
    done = penstock("serve", folder=tmp_path, more=TWO | {"PENSTOCK__SERVER__PORT": "0", "PENSTOCK__ADMIN__PORT": "0"})
    assert done.returncode == 1
    assert "ended before it served (exit code 7)" in done.stderr
    assert "Traceback" not in done.stderr
