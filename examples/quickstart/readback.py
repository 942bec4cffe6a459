"""Reads all four destinations, and the dead letters, all along, and enters what it finds into the ledger."""

import asyncio
from collections.abc import Iterator, Mapping
from typing import Any

import orjson
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaException, Message, TopicPartition

from examples.quickstart.ledger import Destination, Ledger
from examples.quickstart.resources import BUCKET, DEAD_QUEUE, PARTITIONS, QUEUE, STREAM, TOPIC, Clients

IDLE_SECONDS = 0.2
_RECEIVERS = 16
"""Twice as many as the gateway has senders: the emulator slows down as a queue deepens."""


class ReadBack:
    """Readers of every destination. `run` reads until `stop`."""

    def __init__(self, aws: Clients, queue_urls: Mapping[str, str], brokers: str, ledger: Ledger) -> None:
        self._aws = aws
        self._queue_urls = queue_urls
        self._brokers = brokers
        self._ledger = ledger
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        """End `run`, within a second or so."""
        self._stopping.set()

    async def run(self) -> None:
        """Read until stopped."""
        shards = await self._aws.kinesis.list_shards(StreamName=STREAM)
        async with asyncio.TaskGroup() as readers:
            for shard in shards["Shards"]:
                readers.create_task(self._read_shard(shard["ShardId"]))
            for _ in range(_RECEIVERS):
                readers.create_task(self._read_queue(Destination.QUEUE, self._queue_urls[QUEUE]))
            readers.create_task(self._read_queue(Destination.DEAD, self._queue_urls[DEAD_QUEUE]))
            readers.create_task(self._read_bucket())
            readers.create_task(self._read_topic())

    async def _read_shard(self, shard: str) -> None:
        kinesis = self._aws.kinesis
        start = await kinesis.get_shard_iterator(StreamName=STREAM, ShardId=shard, ShardIteratorType="TRIM_HORIZON")
        iterator = start["ShardIterator"]
        while not self._stopping.is_set():
            page = await kinesis.get_records(ShardIterator=iterator, Limit=10_000)
            iterator = page["NextShardIterator"]
            for record in page["Records"]:
                self._enter(Destination.STREAM, record["Data"])
            await self._idle()

    async def _read_queue(self, destination: Destination, url: str) -> None:
        sqs = self._aws.sqs
        while not self._stopping.is_set():
            answer = await sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=1)
            messages = answer.get("Messages", [])
            for message in messages:
                self._enter(destination, message["Body"].encode())
            if messages:
                handles = [{"Id": str(i), "ReceiptHandle": m["ReceiptHandle"]} for i, m in enumerate(messages)]
                await sqs.delete_message_batch(QueueUrl=url, Entries=handles)

    async def _read_bucket(self) -> None:
        """Count the lines of every object. Keys do not sort by time within a second, so the whole bucket is listed."""
        s3, seen = self._aws.s3, set[str]()
        while not self._stopping.is_set():
            new = []
            async for page in s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET):
                new += [item["Key"] for item in page.get("Contents", []) if item["Key"] not in seen]
            for key in new:
                answer = await s3.get_object(Bucket=BUCKET, Key=key)
                self._enter(Destination.LAKE, await answer["Body"].read())
                seen.add(key)
            await self._idle()

    async def _read_topic(self) -> None:
        consumer = Consumer({"bootstrap.servers": self._brokers, "group.id": "quickstart", "enable.auto.commit": False})
        try:
            consumer.assign([TopicPartition(TOPIC, partition, OFFSET_BEGINNING) for partition in range(PARTITIONS)])
            while not self._stopping.is_set():
                for message in await _uninterrupted(consumer, 1000):
                    if message.error() is not None:
                        raise KafkaException(message.error())
                    self._ledger.found(Destination.TOPIC, _header(message, "ce_id"))
        finally:
            consumer.close()

    def _enter(self, destination: Destination, lines: bytes) -> None:
        for id in identities(lines):
            self._ledger.found(destination, id)

    async def _idle(self) -> None:
        """Pace the polls: a shard allows five reads a second (Kinesis quotas)."""
        try:
            async with asyncio.timeout(IDLE_SECONDS):
                await self._stopping.wait()
        except TimeoutError:
            pass


async def _uninterrupted(consumer: Consumer, most: int) -> list[Message]:
    """Up to `most` messages; a cancellation waits for the poll to end, because a consumer in use cannot be closed."""
    poll = asyncio.ensure_future(asyncio.to_thread(consumer.consume, most, IDLE_SECONDS))
    try:
        return await asyncio.shield(poll)
    finally:
        await asyncio.wait([poll])


def _header(message: Message, name: str) -> str:
    value = dict(message.headers() or [])[name]
    assert isinstance(value, bytes), f"header {name} has no value"
    return value.decode()


def identities(lines: bytes) -> Iterator[str]:
    """The id of each event in lines of JSON: of a CloudEvent its own, of a dead letter that of the event in it."""
    for line in lines.splitlines():
        if line:
            event: dict[str, Any] = orjson.loads(line)
            if event.get("type") == "penstock.dead_letter":
                event = event["data"]
            yield event["id"]
