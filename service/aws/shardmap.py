"""The open shards of one stream: which shard a partition key goes to. Learnt in the background, never in the way.

Promises: nothing waits for it; at most one look-up at a time, and a least distance between two that grows while they
fail or find nothing new.
"""

import asyncio
import logging
import random
from bisect import bisect_right
from collections.abc import Callable, Mapping
from functools import lru_cache
from hashlib import md5
from typing import Any

from msgspec import Struct

from service.aws.failures import AWS_ERRORS, retry_for
from service.outcome import Reason, Retry

log = logging.getLogger(__name__)

SPREAD_SECONDS = 1.0
"""A look-up begins at a random moment within this, so that a fleet that learns of a reshard at once asks one by one."""
APART_SECONDS = 5.0
"""Least distance between two look-ups; doubled each time one finds nothing new although an answer disagreed."""
FAILED_SECONDS = 1.0
"""What is waited after a failed look-up; doubled with each."""
MOST_SECONDS = 300.0
"""The distance grows no further."""
_REMEMBERED = 8192
"""Hash keys that are kept: each event's is needed when its lane sorts it, and again soon after when it is sent."""
_PAGES = 100
"""Of 1,000 shards each: beyond what a stream has."""


@lru_cache(maxsize=_REMEMBERED)
def hash_key(partition_key: str) -> int:
    """The number below 2**128 that places a record: MD5 of its key in UTF-8 (Kinesis API reference, PutRecords)."""
    return int.from_bytes(md5(partition_key.encode(), usedforsecurity=False).digest(), "big")


class Shard(Struct, frozen=True, order=True):
    """An open shard: takes hash keys from `start` up to the next one's."""

    start: int
    number: int
    """Of its id: 12 of `shardId-000000000012`. Never given twice within the life of a stream."""
    id: str


class Unknown(Exception):
    """The shards could not be found out: why, and which IAM action was tried."""

    def __init__(self, retry: Retry, action: str) -> None:
        super().__init__(f"{action}: {retry.reason} {retry.detail}")
        self.retry = retry
        self.action = action


class ShardMap:
    """The open shards of one stream, as far as they are known.

    `target` names the stream in calls (`StreamName` or `StreamARN`). `changed` is called after each change of the map.
    With `describes` it also asks whether the service spreads records itself, whatever their keys.

    Needs kinesis:ListShards; with `describes` kinesis:DescribeStreamSummary.
    """

    def __init__(
        self,
        name: str,
        target: Mapping[str, str],
        changed: Callable[[], None],
        describes: bool = False,
        rng: random.Random | None = None,
    ) -> None:
        self.generation = 0
        """Counts the changes; 0 while nothing is known."""
        self.automatic: bool | None = None
        """Whether the stream's RecordDistributionStrategy is AUTO; None while that is not known."""
        self.doubted = False
        """Whether a look-up is due or under way."""
        self._name = name
        self._target = dict(target)
        self._changed = changed
        self._describes = describes
        self._rng = rng or random.Random()
        self._client: Any = None
        self._shards: list[Shard] = []
        self._starts: list[int] = []
        self._one = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None
        self._due = 0.0
        self._failures = 0
        self._fruitless = 0

    @property
    def known(self) -> bool:
        """Whether the shards are known."""
        return self.generation > 0

    def number(self, hashed: int) -> int:
        """The number of the shard that takes the hash key `hashed`; 0 while the shards are not known."""
        return self._shards[bisect_right(self._starts, hashed) - 1].number if self._shards else 0

    def predicts(self, hashed: int, shard_id: str) -> bool:
        """Whether a record with the hash key `hashed` was to go to the shard `shard_id`. The shards must be known."""
        return self._shards[bisect_right(self._starts, hashed) - 1].id == shard_id

    def learn_strategy(self, summary: Mapping[str, Any]) -> None:
        """Take the record distribution strategy from a StreamDescriptionSummary. Absent, keys decide."""
        self.automatic = summary.get("RecordDistributionStrategy") == "AUTO"

    # --- looking up

    def start(self, client: Any) -> None:
        """Begin to learn, with this client, in the background."""
        self._client = client
        self.doubt()

    async def stop(self) -> None:
        """End the background work."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})

    def doubt(self) -> None:
        """The map may be wrong: look up again, in a while, unless that is under way."""
        if self.doubted:
            return
        self.doubted = True
        loop = asyncio.get_running_loop()
        self._due = max(self._due, loop.time() + self._rng.uniform(0, SPREAD_SECONDS))
        if self._task is None or self._task.done():
            self._task = loop.create_task(self._learn(), name=f"shards of sink {self._name}")

    async def _learn(self) -> None:
        loop = asyncio.get_running_loop()
        while self.doubted:
            if (seconds := self._due - loop.time()) > 0:
                await asyncio.sleep(seconds)
                continue
            try:
                async with self._one:
                    # who held it may have answered the doubt
                    if self.doubted:
                        await self._look_up()
            except Unknown as error:
                if self._failures == 1:
                    fields = {"sink": self._name, "action": error.action, "reason": error.retry.reason.value}
                    log.warning(
                        "the stream's shards cannot be looked up; what is known of them stays in use",
                        extra=fields | {"detail": error.retry.detail},
                    )

    async def look_up(self) -> None:
        """Ask now. Raises Unknown; the map then stays as it is."""
        async with self._one:
            await self._look_up()

    async def _look_up(self) -> None:
        doubted = self.doubted
        try:
            changed = self._learnt(await self._open_shards())
            if self._describes and (self.automatic is None or not changed):
                await self._describe()
        except Unknown:
            self._failures += 1
            self._wait(FAILED_SECONDS, self._failures - 1)
            raise
        self._failures = 0
        self._fruitless = 0 if changed else self._fruitless + doubted
        self.doubted = False
        self._wait(APART_SECONDS, self._fruitless)

    def _wait(self, seconds: float, doubled: int) -> None:
        distance = min(seconds * 2.0 ** min(doubled, 16), MOST_SECONDS)
        self._due = asyncio.get_running_loop().time() + distance * self._rng.uniform(1.0, 1.5)

    async def _open_shards(self) -> list[Shard]:
        """The shards by `start`. AT_LATEST: those that are open now (Kinesis API reference, ListShards)."""
        found: list[Shard] = []
        params: dict[str, Any] = {**self._target, "ShardFilter": {"Type": "AT_LATEST"}}
        for _ in range(_PAGES):
            answer = await self._ask("list_shards", "kinesis:ListShards", params)
            try:
                found += [shard for each in answer["Shards"] if (shard := _open(each)) is not None]
                token = answer.get("NextToken")
            except (KeyError, TypeError, ValueError, AttributeError) as error:
                told = f"shards that cannot be read: {type(error).__name__}"
                raise Unknown(Retry(Reason.BAD_ANSWER, detail=told), "kinesis:ListShards") from error
            if not token:
                break
            params = next_page(self._target, token)
        found.sort()
        # a reshard between two pages shows a parent beside its children, or neither
        if not found or found[0].start != 0 or len({shard.start for shard in found}) != len(found):
            raise Unknown(Retry(Reason.BAD_ANSWER, detail="the shards do not make up a stream"), "kinesis:ListShards")
        return found

    async def _describe(self) -> None:
        answer = await self._ask("describe_stream_summary", "kinesis:DescribeStreamSummary", self._target)
        self.learn_strategy(answer.get("StreamDescriptionSummary") or {})

    async def _ask(self, operation: str, action: str, params: Mapping[str, Any]) -> Mapping[str, Any]:
        try:
            answer: Mapping[str, Any] = await getattr(self._client, operation)(**params)
        except AWS_ERRORS as error:
            raise Unknown(retry_for(error), action) from error
        return answer

    def _learnt(self, shards: list[Shard]) -> bool:
        """Whether `shards` are others than those known before."""
        if shards == self._shards:
            return False
        self._shards = shards
        self._starts = [shard.start for shard in shards]
        self.generation += 1
        log.info("the stream's shards are known", extra={"sink": self._name, "shards": len(shards)})
        self._changed()
        return True


def next_page(target: Mapping[str, str], token: str) -> dict[str, str]:
    """What asks ListShards for the page after `token`, which says which stream and which shards. Of `target` only an
    ARN, which is an address too, may stand beside it (Kinesis API reference)."""
    return {name: value for name, value in target.items() if name != "StreamName"} | {"NextToken": token}


def _open(shard: Mapping[str, Any]) -> Shard | None:
    """The shard as ListShards tells it; None if it is closed, which some emulators list too."""
    if shard.get("SequenceNumberRange", {}).get("EndingSequenceNumber"):
        return None
    id_ = shard["ShardId"]
    return Shard(int(shard["HashKeyRange"]["StartingHashKey"]), int(id_.rpartition("-")[2]), id_)
