"""Dead letters in a Kinesis data stream: every shard from its oldest record, aggregated records taken apart."""

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack
from typing import Any, Self

from service.aws.arn import is_arn
from service.aws.session import client
from service.aws.shardmap import next_page
from service.codecs.deaggregation import deaggregated
from service.dlq.asking import CALL_SECONDS, ask
from service.dlq.reader import Stored
from service.dlq.settled import Settled
from service.sinks.kinesis import Kinesis

_RECORDS = 1000
_PACE_SECONDS = 0.2
"""A shard takes five reads a second, of all who read it (Kinesis quotas)."""
_ITERATOR_SECONDS = 240.0
"""An iterator is valid for five minutes (Kinesis API reference, GetShardIterator); a slow replay may need longer."""


class KinesisReader:
    """Needs kinesis:ListShards, kinesis:GetShardIterator and kinesis:GetRecords; with one's own key kms:Decrypt."""

    deletes = False

    def __init__(self, name: str, config: Kinesis.Config, settled: Settled) -> None:
        self.place = f"stream {config.stream!r}"
        self.notes: list[str] = []
        del name, settled
        self._target = {"StreamName": config.stream}
        if is_arn(config.stream):
            self._target = {"StreamARN": config.stream}
        self._config = config
        self._client: Any = None
        self._exit = AsyncExitStack()

    async def letters(self) -> AsyncGenerator[Stored, None]:
        """Shard by shard, those that were split or merged before among them, up to the newest record of each."""
        for shard in await self._shards():
            async for stored in self._of_shard(shard):
                yield stored

    async def _shards(self) -> list[str]:
        shards, page = [], dict(self._target)
        while True:
            answer = await self._ask("ListShards", self._client.list_shards, **page)
            shards += [str(each["ShardId"]) for each in answer["Shards"]]
            if not answer.get("NextToken"):
                return shards
            page = next_page(self._target, answer["NextToken"])

    async def _of_shard(self, shard: str) -> AsyncGenerator[Stored, None]:
        place: dict[str, str] = {"ShardIteratorType": "TRIM_HORIZON"}
        iterator, made_at, asked_at = None, 0.0, 0.0
        while True:
            if iterator is None or time.monotonic() - made_at > _ITERATOR_SECONDS:
                found = await self._ask(
                    "GetShardIterator", self._client.get_shard_iterator, ShardId=shard, **place, **self._target
                )
                iterator, made_at = found["ShardIterator"], time.monotonic()
            await asyncio.sleep(max(0.0, asked_at + _PACE_SECONDS - time.monotonic()))
            asked_at = time.monotonic()
            answer = await self._ask(
                "GetRecords", self._client.get_records, ShardIterator=iterator, Limit=_RECORDS, **_arn(self._target)
            )
            for record in answer["Records"]:
                number = str(record["SequenceNumber"])
                place = {"ShardIteratorType": "AFTER_SEQUENCE_NUMBER", "StartingSequenceNumber": number}
                for index, piece in enumerate(deaggregated(record["Data"])):
                    yield Stored(f"{shard}:{number}/{index}", piece)
            iterator, made_at = answer.get("NextShardIterator"), time.monotonic()
            if not iterator or not answer.get("MillisBehindLatest"):
                return

    async def remove(self, stored: Stored) -> None:
        """A stream forgets by age only."""

    async def _ask(self, operation: str, method: Any, **arguments: Any) -> Any:
        region = self._client.meta.region_name
        return await ask(lambda: method(**arguments), self.place, f"kinesis:{operation}", region)

    async def __aenter__(self) -> Self:
        self._client = await self._exit.enter_async_context(
            client("kinesis", self._config, concurrency=2, call_timeout=CALL_SECONDS)
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._exit.aclose()


def _arn(target: dict[str, str]) -> dict[str, str]:
    """GetRecords takes the stream's ARN, not its name (Kinesis API reference)."""
    return {"StreamARN": target["StreamARN"]} if "StreamARN" in target else {}
