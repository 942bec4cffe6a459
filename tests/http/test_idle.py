"""Connections on which nothing happens are closed after the keep-alive time and not before, however that came."""

import asyncio

from tests.http.client import Connection, head, request
from tests.http.running import running

CONFIGURATION = """
server:
  memory: 40MiB
  body_timeout: 1s
  request_timeout: 1200ms
  load_balancer_idle: 1400ms
  keep_alive: 1450ms
  drain_timeout: 1s
sinks:
  main: {type: "tests.http.scripted:Scripted", patience: 200ms, call_timeout: 100ms}
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

        silent, stuttering, used, early = [await service.connect() for _ in range(4)]
        await stuttering.send(head("POST", "/v1/orders", {})[:-4])
        await used.send(request("/v1/orders", GOOD))
        assert (await used.answer()).status == 200
        # answered from its head alone, and its body comes after the answer
        whole = request("/nothing", GOOD)
        await early.send(whole[: -len(GOOD)])
        assert (await early.answer()).status == 404
        await early.send(whole[-len(GOOD) :])
        async with asyncio.timeout(4):
            idle = await asyncio.gather(*map(idle_seconds, (silent, stuttering, used, early)))
        assert min(idle) >= 1.2
        for each in (silent, stuttering, used, early):
            await each.close()
