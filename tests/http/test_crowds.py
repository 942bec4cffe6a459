"""Many at once, long and short: each is answered, none stalls the others, and who leaves costs nothing more."""

import asyncio
import time

import pytest

from tests.http.client import chunked, head, request
from tests.http.running import Service

pytestmark = pytest.mark.asyncio(loop_scope="module")

CONFIGURATION = """
server: {memory: 512MiB, max_body: 8MiB}
sinks:
  main: {type: "tests.http.scripted:Scripted", memory: 16MiB}
routes:
  orders: {to: [main]}
"""
GOOD = b'{"number":1}'
END = b"0\r\n\r\n"


async def test_a_crowd_that_leaves_in_the_middle_is_forgotten(service: Service) -> None:
    crowd = [await service.connect() for _ in range(100)]
    for number, connection in enumerate(crowd):
        await connection.send(request("/v1/orders", GOOD)[: 20 + number * 2])
    for connection in crowd:
        connection.reset()
    metrics = await service.idle()
    service.conserved(metrics)


async def test_a_crowd_at_once_is_answered_one_by_one(service: Service) -> None:
    answers = await asyncio.gather(*(service.post("/v1/orders", b'{"n":%d}' % n) for n in range(200)))
    assert {answer.status for answer in answers} == {200}
    assert len({answer.results[0]["id"] for answer in answers}) == 200


async def test_a_huge_body_does_not_stall_the_others(service: Service) -> None:
    # it takes some 300 ms to read, in pieces of 2 ms: between two of them there is time for a whole small request
    event = b'{"specversion":"1.0","id":"%d","source":"/s","type":"t","data":[%b]}'
    body = b"[" + b",".join([event % (number, b"1," * 150 + b"1") for number in range(8_000)]) + b"]"
    headers = {"Content-Type": "application/cloudevents-batch+json", "Transfer-Encoding": "chunked"}
    async with await service.connect() as huge, await service.connect() as small:
        await huge.send(head("POST", "/v1/orders", headers) + chunked([body]).removesuffix(END))
        await service.until(lambda metrics: metrics.total("penstock_http_body_bytes") >= len(body))
        await huge.send(END)
        for _ in range(15):
            await small.send(request("/v1/orders", GOOD))
            assert (await small.answer()).status == 200
        assert len(service.sinks["main"].taken) == 15, (
            "nothing of the huge body was taken before it was read as a whole"
        )
        assert (await huge.answer()).status == 200


async def test_a_crowd_with_long_answers_does_not_stall_the_others(service: Service) -> None:
    # each takes some 30 ms to read and 30 to answer: between any two pieces of all of it there is time for a request
    crowd = [await service.connect() for _ in range(20)]
    for connection in crowd:
        await connection.send(request("/v1/orders", b"[" + b"1," * 4_000 + b"1]"))
    answers = [asyncio.create_task(connection.answer()) for connection in crowd]
    async with await service.connect() as small:
        served, began = 0, time.process_time()
        while not all(answer.done() for answer in answers):
            await small.send(request("/v1/orders", GOOD))
            assert (await small.answer()).status == 200
            served += 1
    seconds = time.process_time() - began  # not what the machine did for others
    assert {len(answer.result().results) for answer in answers} == {4_001}
    assert served > 100 * seconds, "each waits for a few pieces of 2 ms, not for whole bodies and answers of others"
    for connection in crowd:
        connection.reset()


async def test_large_bodies_whose_clients_are_gone_are_not_read(service: Service) -> None:
    body = b"[" + b",".join([b'{"n":%d}' % number for number in range(3_000)]) + b"]"
    crowd = [await service.connect() for _ in range(10)]
    for connection in crowd:
        await connection.send(request("/v1/orders", body))
    for connection in crowd:
        connection.reset()
    metrics = await service.idle()
    service.conserved(metrics)
    assert len(service.sinks["main"].taken) <= 3 * 3_000, "of those that were being read when their clients left"


async def test_many_refused_events_hold_memory_until_they_are_answered(service: Service) -> None:
    small = b"\n".join([b"{"] * 8_000)
    answer = await service.post("/v1/orders", small, content_type="application/x-ndjson")
    assert answer.status == 422
    assert len(answer.results) == 8_000
    metrics = await service.idle()
    assert metrics.total("penstock_http_body_bytes") == 0
