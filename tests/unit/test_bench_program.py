"""The bench's Go program: its own tests, destinations that count what clients send, latency from when it was due."""

import asyncio
import socket
import subprocess
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from bench import bodies
from bench.destinations import Caller, aggregate, aws, kafka
from bench.program import LEAST_GO, SOURCE, Missing, Order, Stubs, compiled, connected, go, go_version, load, stubs

EVENTS = [bodies.event(number) for number in range(120)]
KEYS = [f"order-{number:03d}" for number in range(120)]


@pytest.fixture(scope="module")
def program() -> Path:
    try:
        return compiled()
    except Missing as missing:
        pytest.skip(f"without the bench's Go program: {missing}")


@pytest.fixture
def running(program: Path, tmp_path: Path) -> Iterator[Stubs]:
    with stubs(program, tmp_path) as found:
        yield found


def test_its_own_tests_pass(program: Path) -> None:
    del program
    ran = go("test", "-vet=all", ".")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    formatted = subprocess.run(["gofmt", "-l", "."], cwd=SOURCE, capture_output=True, text=True, check=True)
    assert formatted.stdout == ""


def test_kafka_counts_the_messages_of_an_idempotent_producer_and_sees_their_headers(running: Stubs) -> None:
    kafka(running.bootstrap, EVENTS, KEYS, headers=3)()
    taken = running.counts().kafka
    assert (taken.events, taken.with_headers, taken.unknown) == (120, 120, 0)
    kafka(running.bootstrap, EVENTS, KEYS, headers=0)()
    taken = running.counts().kafka
    assert (taken.events, taken.with_headers, taken.unknown) == (240, 120, 0)


@pytest.mark.parametrize("name", ["kinesis", "firehose", "sqs"])
def test_a_destination_of_aws_counts_the_events_in_its_records(running: Stubs, name: str) -> None:
    with Caller(running.endpoint, name) as caller:
        call, events = aws(caller, EVENTS, KEYS)
        call()
        call()
    taken = running.counts().of(name)
    assert (taken.events, taken.calls, taken.unknown) == (2 * events, 2, 0)
    assert taken.records == {"kinesis": 2 * events, "firehose": 2, "sqs": 2 * events}[name]


def test_the_events_inside_aggregated_records_are_counted(running: Stubs) -> None:
    with Caller(running.endpoint, "kinesis") as caller:
        aggregate(caller, EVENTS, KEYS)()
    taken = running.counts().kinesis
    assert (taken.events, taken.unknown) == (120, 0)
    assert taken.records < 5


def test_a_call_beyond_the_limits_is_refused_and_counted_as_unknown(running: Stubs) -> None:
    with Caller(running.endpoint, "kinesis") as caller:
        call, _ = aws(caller, EVENTS * 5, KEYS * 5)
        with pytest.raises(RuntimeError, match="600 records; 1 to 500"):
            call()
    taken = running.counts().kinesis
    assert (taken.events, taken.unknown) == (0, 1)


@pytest.mark.parametrize("name", ["kinesis", "firehose", "sqs"])
def test_calls_to_a_destination_that_is_held_wait_uncounted_and_are_answered_afterwards(
    running: Stubs, name: str
) -> None:
    with Caller(running.endpoint, name) as caller, ThreadPoolExecutor(1) as pool:
        call, events = aws(caller, EVENTS, KEYS)
        with running.holding(name):
            calling = pool.submit(call)
            with pytest.raises(TimeoutError):
                calling.result(0.1)
            assert running.counts().of(name).calls == 0
        calling.result(5)
    assert running.counts().of(name).events == events


def test_idle_connections_take_turns(program: Path, tmp_path: Path) -> None:
    seen: list[object] = []
    with answering(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 0.0, seen) as address:
        order = Order(requests=sent(tmp_path), address=address, connections=5, seconds=0.2, rate=50)
        assert load(program, order).requests == 10
    assert sorted(seen.count(each) for each in set(seen)) == [2] * 5


def test_connections_are_open_before_the_load_and_after_it(program: Path, tmp_path: Path) -> None:
    seen: list[object] = []
    with answering(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 0.0, seen) as address:
        order = Order(requests=sent(tmp_path), address=address, connections=1, seconds=0.1, rate=50)
        with connected(program, order) as send:
            assert seen == []
            assert send().requests == len(seen) == 5
            assert len(set(seen)) == 1


def test_latency_counts_from_when_a_request_was_due(program: Path, tmp_path: Path) -> None:
    """One connection, 20 ms an answer, a request due each 5 ms: the last one is answered 15 ms late for each before."""
    with answering(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", after=0.02) as address:
        order = Order(requests=sent(tmp_path), address=address, events=1, connections=1, seconds=0.2, rate=200)
        found = load(program, order)
    assert found.requests == found.acknowledged == 40
    assert found.statuses == {"200": 40}
    assert found.p999_ms >= 39 * 15
    assert 0.4 * found.p999_ms < found.p50_ms < 0.6 * found.p999_ms
    assert found.p50_ms < found.p99_ms <= found.p999_ms


def test_a_closed_loop_waits_for_its_last_answers_and_counts_events(program: Path, tmp_path: Path) -> None:
    with answering(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", after=0.02) as address:
        found = load(program, Order(requests=sent(tmp_path), address=address, events=7, connections=3, seconds=0.1))
    assert found.requests in range(3, 16)
    assert found.acknowledged == 7 * found.requests
    assert found.errors == {}
    assert found.p50_ms >= 20


def test_of_a_mixed_answer_only_what_is_delivered_is_acknowledged(program: Path, tmp_path: Path) -> None:
    body = b'{"results":[{"index":0,"status":"delivered"},{"index":1,"status":"failed"}]}'
    answer = b"HTTP/1.1 207 Multi-Status\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
    with answering(answer, after=0.0) as address:
        found = load(program, Order(requests=sent(tmp_path), address=address, events=2, connections=1, seconds=0.05))
    assert found.statuses == {"207": found.requests}
    assert found.acknowledged == found.requests > 0
    assert found.sample == body.decode()


def test_an_unreachable_address_is_an_error_not_a_figure(program: Path, tmp_path: Path) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{unused.getsockname()[1]}"
        with pytest.raises(RuntimeError, match="cannot be reached"):
            load(program, Order(requests=sent(tmp_path), address=address, events=1, connections=1, seconds=0.1))


@pytest.mark.parametrize("script", [None, "echo go1.17"], ids=["absent", "old"])
def test_without_go_one_sentence_says_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str | None
) -> None:
    if script is not None:
        fake = tmp_path / "go"
        fake.write_text(f"#!/bin/sh\n{script}\n")
        fake.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Missing, match=f"Go {LEAST_GO[0]}.{LEAST_GO[1]} or later"):
        go_version()


def sent(folder: Path) -> Path:
    """A file of one request."""
    file = folder / "requests"
    file.write_bytes(bodies.framed([bodies.request("/", {}, b"x")]))
    return file


@contextmanager
def answering(answer: bytes, after: float, seen: list[object] | None = None) -> Iterator[str]:
    """The address of a server that answers each request, one at a time, after so many seconds.

    `seen` gets the other side's address for each request.
    """
    ready: list[str] = []
    started, ended = threading.Event(), asyncio.Event()
    loops: list[asyncio.AbstractEventLoop] = []

    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.read(65536):
            if seen is not None:
                seen.append(writer.get_extra_info("peername"))
            await asyncio.sleep(after)
            writer.write(answer)
        writer.close()

    async def serve() -> None:
        server = await asyncio.start_server(converse, "127.0.0.1", 0)
        ready.append(f"127.0.0.1:{server.sockets[0].getsockname()[1]}")
        loops.append(asyncio.get_running_loop())
        started.set()
        async with server:
            await ended.wait()

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    started.wait()
    try:
        yield ready[0]
    finally:
        loops[0].call_soon_threadsafe(ended.set)
        thread.join()
