"""The harness of the firehose source: a stream that sends each request again until it is answered 200."""

import asyncio
from collections.abc import Sequence
from itertools import count
from typing import Any, ClassVar

from tests.contract.source_harness import SourceHarness
from tests.http import firehose


class FirehoseSourceHarness(SourceHarness):
    name: ClassVar[str] = "firehose"
    asks: ClassVar[bool] = False

    def __init__(self) -> None:
        self._numbers = count()
        self._requests: set[asyncio.Task[None]] = set()
        self._acknowledged: list[bytes] = []
        self._available = 0

    async def __aexit__(self, *_: object) -> None:
        await asyncio.gather(*self._requests)

    def settings(self, *, bounded: bool = False) -> dict[str, Any]:
        assert not bounded
        return {"type": "firehose", "access_keys": [firehose.KEY], "route": "orders"}

    async def send(self, bodies: Sequence[bytes]) -> None:
        self._requests.add(asyncio.create_task(self._send(list(bodies), f"request-{next(self._numbers)}")))

    async def _send(self, bodies: list[bytes], name: str) -> None:
        status = 503
        while status == 503:
            try:
                status = (await firehose.sent(self._service, bodies, name, "/firehose/incoming")).status
            except (OSError, EOFError):
                status = 0
        self._acknowledged += bodies if status == 200 else []
        self._available += len(bodies) if status != 200 else 0

    async def acknowledged(self, count: int) -> list[bytes]:
        async with asyncio.timeout(30):
            while len(self._acknowledged) < count:
                await asyncio.sleep(0.005)
        return self._acknowledged

    async def acknowledged_now(self) -> list[bytes]:
        return self._acknowledged

    async def available(self, count: int) -> None:
        async with asyncio.timeout(30):
            while self._available < count:
                await asyncio.sleep(0.005)
