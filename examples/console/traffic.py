"""Traffic to look at: orders and stock by HTTP, clicks by a Kafka topic, more of them and less, a few not valid."""

import asyncio
import itertools
import math
from typing import Any, Final

import aiohttp
import orjson
from confluent_kafka import Producer

ORDERS, STOCK, CLICKS = 90.0, 30.0, 150.0
"""Events per second, on average."""
SWING: Final = 0.25
SWING_SECONDS: Final = 90.0
EVERY_SECONDS: Final = 0.1
INVALID: Final = 400
"""One order of so many has no total."""
Event = dict[str, Any]


class Traffic:
    """What is sent to a service at `url`, and to the topic `clicks`."""

    def __init__(self, session: aiohttp.ClientSession, url: str, brokers: str) -> None:
        self._session = session
        self._url = url
        self._producer = Producer({"bootstrap.servers": brokers, "linger.ms": 20, "log_level": 0})
        self._numbers = itertools.count()

    async def run(self) -> None:
        """Send until cancelled."""
        try:
            await self._send()
        finally:
            self._producer.purge()

    async def _send(self) -> None:
        loop = asyncio.get_running_loop()
        due = {"orders": 0.0, "stock": 0.0, "clicks": 0.0}
        async with asyncio.TaskGroup() as requests:
            while True:
                for phase, (name, rate) in enumerate((("orders", ORDERS), ("stock", STOCK), ("clicks", CLICKS))):
                    swing = 1 + SWING * math.sin(2 * math.pi * loop.time() / SWING_SECONDS + phase)
                    due[name] += rate * swing * EVERY_SECONDS
                    events = [self._event() for _ in range(int(due[name]))]
                    due[name] -= len(events)
                    if name == "clicks":
                        self._produce(events)
                    elif events:
                        requests.create_task(self._post(name, events))
                await asyncio.sleep(EVERY_SECONDS)

    def _event(self) -> Event:
        number = next(self._numbers)
        event = {"id": f"e{number}", "key": f"k{number % 500}", "text": "x" * 180}
        return event if number % INVALID == INVALID - 1 else event | {"total": number % 90 + 0.5}

    def _produce(self, events: list[Event]) -> None:
        for event in events:
            self._producer.produce("clicks", orjson.dumps(event), event["key"])
        self._producer.poll(0)

    async def _post(self, route: str, events: list[Event]) -> None:
        """Once: whoever shows trouble need not make up for it."""
        async with self._session.post(f"{self._url}/v1/{route}", data=orjson.dumps(events), headers=_JSON) as answer:
            await answer.read()


_JSON: Final = {"Content-Type": "application/json", "Prefer": "return=minimal"}
