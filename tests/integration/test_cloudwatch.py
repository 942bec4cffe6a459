"""What a service has counted is what CloudWatch gives back, by either way: sums, percentiles, the books."""

import asyncio
import os
import signal
from collections import Counter
from pathlib import Path
from uuid import uuid4

import pytest

from deploy.local.emulator import isolated
from tests.conservation import Sample, assert_conserved, samples, total
from tests.integration.cloudwatch import answers, assert_balanced, client, percentile, serving, statistics
from tests.integration.command import Serving
from tests.integration.workers import Load, all_serve, pids, until
from tests.unit.emf import metrics_of

EVENTS = 60
SINKS = {"stream", "missing", "dead"}


def configuration(mode: str, name: str, workers: int = 1) -> str:
    """One route to a stream, and to a queue that does not exist and loses nothing, for there are dead letters."""
    return f"""
server: {{workers: {workers}}}
cloudwatch: {{mode: {mode}, service: {name}, interval: 1s}}
sinks:
  stream: {{type: kinesis, stream: {name}, aggregate: kpl}}
  missing: {{type: sqs, queue: no-{name}, patience: 2s, call_timeout: 1s}}
  dead: {{type: memory}}
routes:
  orders:
    schema: {{type: jsonschema, file: order.json}}
    to: [stream, {{sink: missing, required: false}}]
    dead_letter: dead
"""


@pytest.fixture
async def name(emulator: str) -> str:
    """Of a service, and of a stream that exists."""
    made = f"watched-{uuid4().hex[:8]}"
    async with client(emulator, "kinesis") as kinesis:
        await kinesis.create_stream(StreamName=made, ShardCount=1)
        await kinesis.get_waiter("stream_exists").wait(StreamName=made, WaiterConfig={"Delay": 1})
    return made


def send(running: Serving) -> list[Sample]:
    """Events of all kinds, until each has ended. Returns what a scrape says then."""
    statuses = Counter[int]()
    for number in range(EVENTS):
        status, _ = running.post("orders", {"number": number} if number % 6 else {"wrong": number})
        statuses[status] += 1
    assert statuses == {200: EVENTS - EVENTS // 6, 422: EVENTS // 6}

    def at_rest() -> bool:
        return total(samples(running.get("/metrics")), "penstock_lane_events_held") == 0

    until(at_rest)
    found = samples(running.get("/metrics"))
    assert_conserved(found)
    return found


async def test_getmetricdata_gives_back_what_was_counted(tmp_path: Path, emulator: str, name: str) -> None:
    with serving(tmp_path, configuration("api", name), isolated(os.environ, emulator)) as running:
        scraped = await asyncio.to_thread(send, running)
        running.signal(signal.SIGTERM)
        running.end_well()
        assert running.printed == ""
    sums = await statistics(emulator, name, "Sum")
    counts = await statistics(emulator, name, "SampleCount")
    p99 = await statistics(emulator, name, "p99")

    good = EVENTS - EVENTS // 6
    assert sums["EventsReceived", "orders"] == EVENTS
    assert sums["EventsRejected", "orders"] == EVENTS // 6
    assert sums["UserRecordsPut", "stream"] == good
    assert sums["EventsDeadLettered", "missing"] == good
    assert sums["UserRecordsPut", "dead"] == good
    assert sums["UserRecordsDataPut", "stream"] == total(scraped, "penstock_lane_delivered_bytes_total", sink="stream")
    assert sums["KinesisRecordsPut", "stream"] == total(scraped, "penstock_kinesis_records_total", sink="stream")
    assert sums["AllErrors", "missing"] == total(scraped, "penstock_lane_events_retried_total", sink="missing")
    pending = await statistics(emulator, name, "Minimum")
    assert_balanced(sums, pending, SINKS)
    assert sums["EventsUnaccounted", ""] == 0

    took = answers(scraped, "orders")
    assert counts["AnswerTime", "orders"] == EVENTS
    assert p99["AnswerTime", "orders"] == pytest.approx(percentile(took, 0.99))
    for metric, family in (("RequestTime", "call_duration_seconds"), ("UserRecordsPerCall", "call_events")):
        assert counts[metric, "stream"] == total(scraped, f"penstock_lane_{family}_count", sink="stream")
    for metric, family in (("BufferingTime", "buffering_seconds"), ("RetriesPerRecord", "event_retries")):
        assert counts[metric, "stream"] == total(scraped, f"penstock_lane_{family}_count", sink="stream") == good


async def test_lines_on_standard_output_are_as_specified_and_hold_what_was_counted(
    tmp_path: Path, emulator: str, name: str
) -> None:
    with serving(tmp_path, configuration("emf", name), isolated(os.environ, emulator)) as running:
        scraped = await asyncio.to_thread(send, running)
        running.signal(signal.SIGTERM)
        running.end_well()
    sums, last = added_up(running.printed)
    assert sums["EventsReceived", "orders"] == EVENTS
    assert sums["KinesisRecordsPut", "stream"] == total(scraped, "penstock_kinesis_records_total", sink="stream")
    assert_balanced(sums, last, SINKS)
    async with client(emulator, "cloudwatch") as cloudwatch:
        listed = await cloudwatch.list_metrics(Namespace="Penstock")
    assert name not in str(listed["Metrics"]), "nothing but the lines tells of it"


async def test_of_workers_the_supervisor_tells_the_sum_once_also_if_one_dies(
    tmp_path: Path, emulator: str, name: str
) -> None:
    with serving(tmp_path, configuration("emf", name, workers=2), isolated(os.environ, emulator)) as running:
        load = Load(running.url)
        sending = asyncio.create_task(load.run())
        await load.reaches(200)
        dead, _ = await asyncio.to_thread(pids, running)
        os.kill(dead, signal.SIGKILL)
        await asyncio.to_thread(until, lambda: all_serve(running) and dead not in pids(running))
        await load.reaches(len(load.acknowledged) + 200)
        load.stopped = True
        await sending
        await asyncio.to_thread(
            until, lambda: total(samples(running.get("/metrics")), "penstock_lane_events_held") == 0
        )
        scraped = samples(await asyncio.to_thread(running.get, "/metrics"))
        running.signal(signal.SIGTERM)
        running.end_well()
    sums, last = added_up(running.printed)
    assert_balanced(sums, last, SINKS)
    assert last["EventsUnaccounted", ""] == 0
    assert sums["UserRecordsPut", "stream"] == total(
        scraped, "penstock_lane_events_settled_total", sink="stream", outcome="delivered"
    )
    assert sums["EventsReceived", "orders"] == total(scraped, "penstock_events_received_total", route="orders")


def added_up(printed: str) -> tuple[dict[tuple[str, str], float], dict[tuple[str, str], float]]:
    """Sums and last values of all lines, each held to the specification."""
    sums, last = Counter[tuple[str, str]](), dict[tuple[str, str], float]()
    for line in printed.splitlines(keepends=True):
        for (metric, dimensions), (_, values) in metrics_of(line.encode()).items():
            of = "".join(value for key, value in dimensions if key != "Service")
            sums[metric, of] += sum(values)  # type: ignore[assignment]  # a Counter of floats
            last[metric, of] = values[-1]
    return dict(sums), last


async def test_a_service_whose_cloudwatch_is_away_serves_and_ends_in_time(
    tmp_path: Path, emulator: str, name: str
) -> None:
    text = configuration("api", name).replace("mode: api,", "mode: api, endpoint_url: 'http://127.0.0.1:1',")
    with serving(tmp_path, text, isolated(os.environ, emulator)) as running:
        await asyncio.to_thread(send, running)
        if not any("metrics cannot be published" in line for line in running.said):
            await asyncio.to_thread(running.until, "metrics cannot be published; events are not affected")
        running.signal(signal.SIGTERM)
        running.end_well()
    told = [line for line in running.said if "service.cloudwatch" in line]
    assert [line.count("cannot be published") for line in told].count(1) == 1
    assert "the last metrics were not published" in told[-1]
