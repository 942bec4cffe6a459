"""One producer in a loop, with fifty connections against a slow sink, beside a modest one that is served all the same.

What is admitted is counted, by a sink that answers when it is told to: nothing here depends on how fast anything is.
"""

import asyncio
from collections import Counter

import pytest

from tests.http.claims import assert_problem, assert_retry_after
from tests.http.client import JSON, Answer, Connection, head, request
from tests.http.running import Service, running
from tests.http.test_keys import PEPPER, entry

pytestmark = pytest.mark.asyncio(loop_scope="module")

LANE_BYTES = 256 * 1024
EVENT_BYTES = 8 * 1024
GREEDY = 50
"""Connections: what they send at once is half as much again as the lane holds."""

FILES = {
    "keys.yaml": "keys:\n" + entry("greedy.s-3cret") + entry("modest.s-3cret") + entry("alone.s-3cret"),
    "pepper": PEPPER,
}

CONFIGURATION = f"""
server:
  memory: 40MiB
  request_timeout: 13s
  drain_timeout: 1s
  auth: {{keys_file: keys.yaml, pepper_file: pepper}}
sinks:
  main:
    type: "tests.http.scripted:Scripted"
    memory: {LANE_BYTES}
    largest: 16KiB
    patience: 12s
    call_timeout: 6s
    concurrency: 1
    concurrency_floor: 1
  other: {{type: "tests.http.scripted:Scripted", patience: 12s, call_timeout: 6s}}
  dead: {{type: "tests.http.scripted:Scripted", patience: 12s, call_timeout: 6s}}
routes:
  orders: {{to: [main]}}
  slow: {{to: [{{sink: main, required: false}}, other], dead_letter: dead}}
"""


@pytest.fixture(name="keyed")
def _keyed(shared: Service) -> Service:
    for sink in shared.sinks.values():
        sink.forget()
    return shared


def sent(name: str, route: str = "orders") -> bytes:
    """A request of this principal with one event."""
    body = b'{"text":"%b"}' % (name[:1].encode() * EVENT_BYTES)
    return request(f"/v1/{route}", body, {"X-Api-Key": f"{name}.s-3cret"})


async def send_all(connections: list[Connection], name: str) -> list[asyncio.Task[Answer]]:
    """A request on each of them; what is answered once it is."""
    for connection in connections:
        await connection.send(sent(name))
    return [asyncio.create_task(connection.answer()) for connection in connections]


async def held(service: Service, events: int) -> None:
    """Return once the lane holds so many events, and asserts that it never holds more than it may."""
    metrics = await service.until(lambda found: found.total("penstock_lane_events_held", sink="main") == events)
    assert metrics.total("penstock_lane_held_bytes", sink="main") <= LANE_BYTES


def assert_over_share(answer: Answer) -> None:
    assert_problem(answer, 429, "over_share")
    assert_retry_after(answer)
    assert "connection" not in answer.headers


async def test_who_is_alone_fills_the_lane_and_is_told_that_it_is_full(keyed: Service) -> None:
    main = keyed.sinks["main"]
    main.hold()
    connections = [await keyed.connect() for _ in range(GREEDY)]
    answers = await send_all(connections, "alone")
    refused = LANE_BYTES // EVENT_BYTES
    done, _ = await asyncio.wait(answers, return_when=asyncio.FIRST_COMPLETED)
    main.deliver()
    statuses = Counter([(await each).status for each in answers])
    assert done
    assert set(statuses) == {200, 503}
    assert statuses[200] > refused // 2
    for connection in connections:
        await connection.close()


async def test_a_producer_with_fifty_connections_leaves_room_in_a_lane_for_a_modest_one(keyed: Service) -> None:
    main = keyed.sinks["main"]
    assert (await keyed.raw(sent("modest"))).status == 200
    main.hold()
    connections = [await keyed.connect() for _ in range(GREEDY)]
    modest = [await keyed.connect() for _ in range(5)]
    answers = await send_all(connections, "greedy")
    await keyed.until(lambda found: found.total("penstock_share_refusals_total", resource="lane", sink="main") > 0)
    async with asyncio.timeout(30):
        while sum(each.done() for each in answers) < GREEDY // 2:
            await asyncio.sleep(0)
    others = await send_all(modest, "modest")
    await keyed.until(lambda found: found.total("penstock_lane_events_held", sink="main") >= 5)
    assert not any(each.done() for each in others)
    main.deliver()
    assert [(await each).status for each in others] == [200] * 5
    found = [await each for each in answers]
    refused = [each for each in found if each.status != 200]
    for answer in refused:
        assert_over_share(answer)
    assert len(found) - len(refused) <= LANE_BYTES // 2 // EVENT_BYTES + 1
    for connection in [*connections, *modest]:
        await connection.close()


async def test_a_modest_producer_is_always_let_in_beside_one_in_a_loop(keyed: Service) -> None:
    main = keyed.sinks["main"]
    assert (await keyed.raw(sent("modest"))).status == 200
    main.step()
    statuses: Counter[int] = Counter()
    over = asyncio.Event()

    async def loop() -> None:
        async with await keyed.connect() as connection:
            while not over.is_set():
                await connection.send(sent("greedy"))
                statuses[(await connection.answer()).status] += 1

    async def release() -> None:
        while not over.is_set():
            main.release()
            await main.called(main.calls + 1)

    greedy = [asyncio.create_task(loop()) for _ in range(GREEDY)]
    await keyed.until(lambda found: found.total("penstock_share_refusals_total", resource="lane", sink="main") > 0)
    releasing = asyncio.create_task(release())
    async with await keyed.connect() as connection:
        for _ in range(20):
            await connection.send(sent("modest"))
            assert (await connection.answer()).status == 200
    over.set()
    main.deliver()
    for _ in range(100):
        main.release()
    releasing.cancel()
    await asyncio.gather(*greedy)
    assert statuses[200] > 0
    assert statuses[429] > 0
    assert set(statuses) == {200, 429}
    assert sum(event.body.startswith(b'{"text":"m') for event in main.taken) == 21


async def test_what_is_best_effort_is_shared_too(keyed: Service) -> None:
    main = keyed.sinks["main"]
    assert (await keyed.raw(sent("modest"))).status == 200
    main.hold()
    async with await keyed.connect() as connection:
        for _ in range(GREEDY):
            await connection.send(sent("greedy", "slow"))
            assert (await connection.answer()).status == 200
        await connection.send(sent("modest", "slow"))
        assert (await connection.answer()).status == 200
    metrics = await keyed.metrics()
    assert metrics.total("penstock_lane_held_bytes", sink="main") <= LANE_BYTES
    main.deliver()
    await keyed.until(lambda found: not found.total("penstock_lane_events_held", sink="main"))
    bodies = [event.body[9:10] for event in main.taken]
    assert bodies.count(b"m") == 2
    assert 0 < bodies.count(b"g") <= LANE_BYTES // 2 // EVENT_BYTES + 1


async def test_bodies_that_do_not_come_leave_memory_for_others(keyed: Service) -> None:
    assert (await keyed.raw(sent("modest"))).status == 200
    body_memory = keyed.config.server.body_memory
    size = body_memory // GREEDY * 2
    begun = head(
        "POST", "/v1/orders", {"Content-Length": str(size), "X-Api-Key": "greedy.s-3cret", "Content-Type": JSON}
    )
    connections = [await keyed.connect() for _ in range(GREEDY)]
    answers = []
    for connection in connections:
        await connection.send(begun + b"{")
        answers.append(asyncio.create_task(connection.answer()))
    metrics = await keyed.until(
        lambda found: found.total("penstock_share_refusals_total", resource="bodies") >= GREEDY // 2
    )
    assert metrics.total("penstock_http_body_bytes") <= body_memory // 2
    assert (await keyed.raw(sent("modest"))).status == 200
    for connection, answer in zip(connections, answers, strict=True):
        if answer.done():
            assert_over_share(answer.result())
        else:
            answer.cancel()
        connection.reset()


async def test_without_credentials_the_address_counts_that_a_trusted_proxy_tells() -> None:
    text = CONFIGURATION.replace(
        "auth: {keys_file: keys.yaml, pepper_file: pepper}", "auth: none\n  trusted_proxies: [127.0.0.1]"
    )

    def by(address: str) -> bytes:
        return request("/v1/orders", b'{"text":"%b"}' % (b"x" * EVENT_BYTES), {"X-Forwarded-For": address})

    async with running(text) as service:
        main = service.sinks["main"]
        assert (await service.raw(by("192.0.2.1"))).status == 200
        main.hold()
        connections = [await service.connect() for _ in range(GREEDY)]
        for number, connection in enumerate(connections):
            await connection.send(by(f"2001:db8::{number}"))
        answers = [asyncio.create_task(connection.answer()) for connection in connections]
        await service.until(lambda found: found.total("penstock_share_refusals_total", resource="lane") > 0)
        late = asyncio.create_task(service.raw(by("192.0.2.1")))
        await service.until(lambda found: found.total("penstock_lane_events_held", sink="main") > 0)
        main.deliver()
        statuses = Counter([(await each).status for each in answers])
        assert (await late).status == 200
        assert set(statuses) == {200, 429}
        for connection in connections:
            await connection.close()
