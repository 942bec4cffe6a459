"""Dead letters in a queue that hands messages out again, and holds more than one call can keep hidden in time."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any
from unittest import mock

import orjson
import pytest
from aiohttp import web

from service.dlq import sqs
from service.dlq.reader import StoreError
from service.dlq.settled import Settled
from service.dlq.sqs import SqsReader
from service.sinks.sqs import Sqs
from tests.contract.fake_aws import ENVIRONMENT


class Lending:
    """A queue that answers each ReceiveMessage with the next numbers of a script, and then with nothing."""

    def __init__(self) -> None:
        self.url = ""
        self.script: list[list[int]] = []
        self.exists = True
        self.deleted: list[str] = []
        self.extended: list[str] = []
        self.most_at_once = 0
        self._at_once = 0
        self.server: web.Server | None = None

    def connected(self) -> int:
        """Connections that are open."""
        assert self.server is not None
        return len(self.server.connections)

    async def answer(self, request: web.Request) -> web.Response:
        operation = request.headers["X-Amz-Target"].partition(".")[2]
        asked = orjson.loads(await request.read())
        status, body = await getattr(self, operation)(asked)
        return web.Response(status=status, body=orjson.dumps(body), content_type="application/x-amz-json-1.0")

    async def GetQueueUrl(self, _: Any) -> tuple[int, Any]:  # noqa: N802 - as AWS calls it
        if not self.exists:
            return 400, {"__type": "com.amazonaws.sqs#QueueDoesNotExist", "message": "no"}
        return 200, {"QueueUrl": f"{self.url}/123456789012/dead"}

    async def ReceiveMessage(self, _: Any) -> tuple[int, Any]:  # noqa: N802
        numbers = self.script.pop(0) if self.script else []
        return 200, {
            "Messages": [
                {"MessageId": f"m{each}", "ReceiptHandle": f"h{each}-{len(self.script)}", "Body": str(each)}
                for each in numbers
            ]
        }

    async def DeleteMessage(self, asked: Any) -> tuple[int, Any]:  # noqa: N802
        self.deleted.append(asked["ReceiptHandle"])
        return 200, {}

    async def ChangeMessageVisibilityBatch(self, asked: Any) -> tuple[int, Any]:  # noqa: N802
        self._at_once += 1
        self.most_at_once = max(self.most_at_once, self._at_once)
        for _ in range(100):
            await asyncio.sleep(0)
        self._at_once -= 1
        self.extended += [each["ReceiptHandle"] for each in asked["Entries"]]
        return 200, {"Successful": [{"Id": each["Id"]} for each in asked["Entries"]], "Failed": []}


@pytest.fixture
async def queue() -> AsyncIterator[Lending]:
    lending = Lending()
    app = web.Application()
    app.router.add_post("/{tail:.*}", lending.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    lending.server = runner.server
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    lending.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    with mock.patch.dict("os.environ", ENVIRONMENT):
        yield lending
    await runner.cleanup()


@pytest.fixture
def reader(queue: Lending, tmp_path: Path) -> Callable[[Settled], SqsReader]:
    config = Sqs.Config.model_validate(
        {"type": "sqs", "queue": "dead", "region": "eu-west-1", "endpoint_url": queue.url}
    )
    return lambda settled: SqsReader("dead", config, settled)


async def read(made: SqsReader) -> list[bytes]:
    return [stored.raw async for stored in made.letters()]


async def test_messages_that_come_again_do_not_end_the_reading_before_the_new_ones(
    queue: Lending, reader: Callable[[Settled], SqsReader], tmp_path: Path
) -> None:
    queue.script = [[0, 1, 2, 3, 4, 5], [0, 1], [2], [3, 0], [6], [1], [2], [3], [7]]
    with Settled(tmp_path / "s", writing=True) as settled:
        async with reader(settled) as made:
            assert await read(made) == [b"0", b"1", b"2", b"3", b"4", b"5", b"6", b"7"]


async def test_a_queue_that_hands_out_the_same_messages_for_ever_is_read_to_an_end(
    queue: Lending, reader: Callable[[Settled], SqsReader], tmp_path: Path
) -> None:
    queue.script = [[0, 1]] * 1000
    with Settled(tmp_path / "s", writing=True) as settled:
        async with reader(settled) as made:
            assert await read(made) == [b"0", b"1"]
    assert len(queue.script) > 990


async def test_what_is_borrowed_is_given_back_in_calls_beside_each_other(
    queue: Lending, reader: Callable[[Settled], SqsReader], tmp_path: Path
) -> None:
    queue.script = [list(range(first, first + 10)) for first in range(0, 300, 10)]
    with Settled(tmp_path / "s", writing=True) as settled:
        async with reader(settled) as made:
            assert len(await read(made)) == 300
        assert sorted(handle.partition("-")[0] for handle in queue.extended) == sorted(f"h{n}" for n in range(300))
    assert 1 < queue.most_at_once <= sqs._AT_ONCE


async def test_a_queue_that_is_not_there_leaves_no_connection_open(
    queue: Lending, reader: Callable[[Settled], SqsReader], tmp_path: Path
) -> None:
    queue.exists = False
    with Settled(tmp_path / "s", writing=True) as settled:
        made = reader(settled)
        with pytest.raises(StoreError, match="does not exist"):
            async with made:
                pass
        async with asyncio.timeout(30):
            while queue.connected():
                await asyncio.sleep(0.01)
