"""Connections on which nothing happens are closed after the keep-alive time and not before, however that came."""

import asyncio

from tests.http.client import Connection, head, request
from tests.http.running import running

CONFIGURATION = """
server:
  memory: 40MiB
  body_timeout: 1s
  request_timeout: 3s
  load_balancer_idle: 3200ms
  keep_alive: 3250ms
  drain_timeout: 1s
sinks:
  main: {type: "tests.http.scripted:Scripted", patience: 2s, call_timeout: 500ms}
routes:
  orders: {to: [main]}
"""

GOOD = b'{"number":1}'


async def test_idle_connections_are_closed() -> None:
    loop = asyncio.get_running_loop()
    async with running(CONFIGURATION) as service:
        began = loop.time()

        async def idle_seconds(connection: Connection) -> float:
            assert await connection.ended()
            return loop.time() - began

        silent, stuttering, used, early, blank, other, behind = [await service.connect() for _ in range(7)]
        await stuttering.send(head("POST", "/v1/orders", {})[:-4])
        await used.send(request("/v1/orders", GOOD))
        assert (await used.answer()).status == 200
        # answered from its head alone, and its body comes after the answer
        whole = request("/nothing", GOOD)
        await early.send(whole[: -len(GOOD)])
        assert (await early.answer()).status == 404
        await early.send(whole[-len(GOOD) :])
        # an empty line begins no request, whether it comes after an answer or before it
        for connection, first, method in (
            (blank, request("/v1/orders", GOOD), "POST"),
            (other, head("GET", "/livez", {}), "GET"),
        ):
            await connection.send(first)
            assert (await connection.answer(method)).status == 200
            await connection.send(b"\r\n")
        await behind.send(request("/v1/orders", GOOD) + b"\r\n")
        assert (await behind.answer()).status == 200
        await behind.send(b"\r\n")
        every = (silent, stuttering, used, early, blank, other, behind)
        async with asyncio.timeout(20):
            idle = await asyncio.gather(*map(idle_seconds, every))
        assert min(idle) >= 3
        for each in every:
            await each.close()


async def test_a_body_that_stops_after_its_answer_leaves_the_connection_its_time() -> None:
    async with running(CONFIGURATION) as service, await service.connect() as connection:
        whole = request("/nothing", GOOD)
        await connection.send(whole[:-4])
        assert (await connection.answer()).status == 404
        await connection.send(whole[-4:-2])
        assert await connection.ended()
