"""The sqs source in a service that is killed, and in one that ends, with a queue of the emulator."""

import asyncio
import itertools
import json
import os
import signal
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from deploy.local.emulator import isolated
from examples.quickstart.resources import Clients
from tests.conservation import assert_conserved, samples, total
from tests.integration.command import Serving, penstock

CONFIGURATION = """
aws: {region: us-east-1, endpoint_url: "%(endpoint)s"}
server: {drain_timeout: %(drain)s}
sinks:
  good: {type: "tests.integration.slow_sink:Slow", path: "%(path)s", takes: %(takes)s, order: %(order)s}
  dead: {type: file, path: dead}
routes:
  orders: {to: [good], dead_letter: dead}
sources:
  incoming:
    type: sqs
    codec: {type: "tests.contract.plain_codec:Plain"}
    queue: "%(queue)s"
    route: orders
    visibility: 4s
    wait: 2s
    window: %(window)s
"""
WINDOW = 100
NUMBERS = itertools.count()
Grouping = Callable[[dict[str, Any]], str]


class Front:
    """A queue of the emulator, and services that receive from it."""

    def __init__(self, folder: Path, endpoint: str, aws: Clients, name: str, url: str) -> None:
        self.folder = folder
        self.endpoint = endpoint
        self.name = name
        self._aws = aws
        self._url = url
        self._credentials = {name: value for name, value in isolated(os.environ).items() if name.startswith("AWS_")}

    def serving(self, takes: str, *, drain: str = "10s", order: str = "none") -> Serving:
        """The service, once it is entered."""
        told = {"endpoint": self.endpoint, "path": self.folder / "taken", "takes": takes, "queue": self.name}
        text = CONFIGURATION % (told | {"window": WINDOW, "drain": drain, "order": order})
        (self.folder / "penstock.yaml").write_text(text)
        return Serving("serve", folder=self.folder, more=self._credentials)

    def doctor(self) -> str:
        """What `penstock doctor` says."""
        done = penstock("doctor", folder=self.folder, more=self._credentials)
        return done.stdout

    async def send(
        self, bodies: Iterable[dict[str, Any]], group: Callable[[dict[str, Any]], str] | None = None
    ) -> None:
        """Messages, in order."""
        left = list(bodies)
        while left:
            some, left = left[:10], left[10:]
            entries = [{"Id": str(index), "MessageBody": json.dumps(body)} for index, body in enumerate(some)]
            if group is not None:
                for entry, body in zip(entries, some, strict=True):
                    entry |= {"MessageGroupId": group(body), "MessageDeduplicationId": f"{self.name}-{body['number']}"}
            answer = await self._aws.sqs.send_message_batch(QueueUrl=self._url, Entries=entries)
            assert not answer.get("Failed")

    def taken(self) -> list[tuple[str, int]]:
        """Key and number of each event that arrived, in order."""
        path = self.folder / "taken"
        lines = path.read_text().splitlines() if path.exists() else []
        return [(key, json.loads(body)["number"]) for key, _, body in (line.partition(" ") for line in lines)]

    async def arrived(self, count: int) -> Counter[int]:
        """How often each number arrived, once there are so many different ones."""
        async with asyncio.timeout(60):
            while len(found := Counter(number for _, number in self.taken())) < count:
                await asyncio.sleep(0.02)
        return found

    async def attributes(self) -> tuple[int, int]:
        """Messages that are visible, and that are not."""
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        answer = await self._aws.sqs.get_queue_attributes(QueueUrl=self._url, AttributeNames=names)
        return int(answer["Attributes"][names[0]]), int(answer["Attributes"][names[1]])

    async def emptied(self) -> None:
        """Return once nothing is in the queue."""
        async with asyncio.timeout(60):
            while await self.attributes() != (0, 0):
                await asyncio.sleep(0.05)


@pytest.fixture(params=["", ".fifo"], ids=["standard", "fifo"])
async def front(request: pytest.FixtureRequest, tmp_path: Path, emulator: str) -> AsyncIterator[Front]:
    name = f"source-{next(NUMBERS)}{request.param}"
    async with Clients(emulator) as aws:
        fifo = {"Attributes": {"FifoQueue": "true"}} if request.param else {}
        url = (await aws.sqs.create_queue(QueueName=name, **fifo))["QueueUrl"]
        yield Front(tmp_path, emulator, aws, name, url)


def _group(body: dict[str, Any]) -> str:
    return f"g{body['number'] % 20}"


def _numbered(count: int) -> list[dict[str, Any]]:
    return [{"number": number} for number in range(count)]


def _grouping(front: Front) -> Grouping | None:
    return _group if front.name.endswith(".fifo") else None


async def test_a_service_that_is_killed_loses_nothing_and_repeats_no_more_than_it_held(front: Front) -> None:
    await front.send(_numbered(600), _grouping(front))
    kills = 3
    for life in range(1, kills + 1):
        with front.serving("30ms") as serving:
            await front.arrived(life * 100)
            serving.process.kill()
            serving.process.wait()
    with front.serving("0s") as serving:
        found = await front.arrived(600)
        await front.emptied()
        found = Counter(number for _, number in front.taken())
        metrics = samples(serving.get("/metrics"))
        assert_conserved(metrics)
        assert total(metrics, "penstock_source_messages_unsettled", source="incoming") == 0
    assert set(found) == set(range(600))
    assert found.total() - 600 <= kills * WINDOW


async def test_a_service_that_ends_gives_back_at_once_what_it_has_not_delivered(front: Front) -> None:
    await front.send(_numbered(60), _grouping(front))
    with front.serving("60s", drain="1s") as serving:
        async with asyncio.timeout(30):
            while (await front.attributes())[1] < 20:
                await asyncio.sleep(0.02)
        serving.signal(signal.SIGTERM)
        assert await asyncio.to_thread(serving.end) == 0
    # sooner than any of it would have become visible by itself: nobody waits here
    assert await front.attributes() == (60, 0)
    with front.serving("0s"):
        assert await front.arrived(60) == Counter(range(60))
        await front.emptied()


@pytest.mark.parametrize("front", [".fifo"], indirect=True, ids=["fifo"])
async def test_each_message_group_arrives_in_its_order_through_an_end_and_a_beginning(front: Front) -> None:
    await front.send(_numbered(400), _group)
    with front.serving("20ms", order="key") as serving:
        await front.arrived(150)
        serving.signal(signal.SIGTERM)
        await asyncio.to_thread(serving.end)
    with front.serving("20ms", order="key"):
        await front.arrived(400)
        await front.emptied()
    groups: dict[str, list[int]] = defaultdict(list)
    for key, number in front.taken():
        if number not in groups[key]:
            groups[key].append(number)
    assert len(groups) == 20
    assert {key: numbers == sorted(numbers) for key, numbers in groups.items()} == dict.fromkeys(groups, True)


@pytest.mark.parametrize("front", [""], indirect=True, ids=["standard"])
async def test_doctor_asks_the_queue_of_a_source(front: Front) -> None:
    front.serving("0s")
    assert "source incoming\n  ok " in front.doctor()
    front.name = "no-such-queue"
    front.serving("0s")
    assert "source incoming\n  problem " in (said := front.doctor())
    assert "queue 'no-such-queue' does not exist" in said
