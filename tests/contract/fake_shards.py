"""The shards of a fake data stream: where each record goes, splits and merges, and what ListShards tells of them."""

import base64
import hashlib
from dataclasses import dataclass, field
from typing import Any

LAST = 2**128 - 1
"""The last hash key of a stream."""


def md5_of(key: str) -> int:
    """The hash key of a partition key, in words of its own: the sink's must agree with it."""
    return int(hashlib.md5(key.encode()).hexdigest(), 16)


@dataclass
class FakeShard:
    """A shard, and the records in it: partition key and data."""

    number: int
    first: int
    last: int
    closed: bool = False
    records: list[tuple[str, bytes]] = field(default_factory=list)

    @property
    def id(self) -> str:
        return f"shardId-{self.number:012d}"


class FakeShards:
    """One shard at first. Shards are never removed: a closed one keeps its records."""

    def __init__(self) -> None:
        self.every = [FakeShard(0, 0, LAST)]
        self.page = 1000
        """Shards in one answer of ListShards."""

    @property
    def open(self) -> list[FakeShard]:
        return [shard for shard in self.every if not shard.closed]

    def split(self, *, into: int = 2) -> None:
        """Replace each open shard by equal parts."""
        for parent in self.open:
            parent.closed = True
            width = (parent.last - parent.first + 1) // into
            for part in range(into):
                first = parent.first + part * width
                last = parent.last if part == into - 1 else first + width - 1
                self.every.append(FakeShard(len(self.every), first, last))

    def merge(self) -> None:
        """Replace all open shards by one."""
        for parent in self.open:
            parent.closed = True
        self.every.append(FakeShard(len(self.every), 0, LAST))

    def take(self, record: dict[str, Any]) -> str:
        """Put the record, as PutRecords has it, into its shard, and tell which one that is."""
        explicit = record.get("ExplicitHashKey")
        hashed = md5_of(record["PartitionKey"]) if explicit is None else int(explicit)
        [shard] = [shard for shard in self.open if shard.first <= hashed <= shard.last]
        shard.records.append((record["PartitionKey"], base64.b64decode(record["Data"])))
        return shard.id

    def listed(self, params: dict[str, Any]) -> dict[str, Any]:
        """A page of the answer to ListShards; without a filter closed shards are in it too."""
        if "NextToken" in params:
            latest, start = params["NextToken"].split("/")
        else:
            latest, start = params.get("ShardFilter", {}).get("Type", ""), "0"
        shards = self.open if latest == "AT_LATEST" else self.every
        end = int(start) + self.page
        page: dict[str, Any] = {"Shards": [_told(shard) for shard in shards[int(start) : end]]}
        return page | ({"NextToken": f"{latest}/{end}"} if end < len(shards) else {})


def _told(shard: FakeShard) -> dict[str, Any]:
    numbers = {"StartingSequenceNumber": "1"} | ({"EndingSequenceNumber": "2"} if shard.closed else {})
    return {
        "ShardId": shard.id,
        "HashKeyRange": {"StartingHashKey": str(shard.first), "EndingHashKey": str(shard.last)},
        "SequenceNumberRange": numbers,
    }
