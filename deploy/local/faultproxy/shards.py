"""The shards of a stream: which one a record goes to, and whether that takes it now, as Kinesis does it."""

import hashlib
from typing import Any, Final

from deploy.local.faultproxy.behaviour import Behaviour

_KEYS: Final = 2**128
BURST_SECONDS = 1.0
"""Unused capacity that a shard keeps."""


class Shards:
    """Equal ranges of hash keys, each with a bucket for records and one for bytes. Times in seconds of any clock."""

    def __init__(self, behaviour: Behaviour, now: float) -> None:
        self._rates = (behaviour.records_per_second, behaviour.bytes_per_second)
        full = [rate * BURST_SECONDS for rate in self._rates]
        self._tokens = [list(full) for _ in range(behaviour.shards)]
        self._at = now
        self.taken = [0] * behaviour.shards
        """Records, by shard."""
        self.throttled = [0] * behaviour.shards

    def place(self, partition_key: str, explicit: str | None) -> int:
        """The shard whose range holds the hash key (Kinesis API reference, PutRecordsRequestEntry)."""
        key = int(explicit) if explicit else int.from_bytes(hashlib.md5(partition_key.encode()).digest(), "big")
        return min(key // (_KEYS // len(self.taken)), len(self.taken) - 1)

    def take(self, shard: int, size: int, now: float) -> bool:
        """Whether the shard takes a record of `size` bytes (data and partition key) now; counts it."""
        self._refill(now)
        tokens = self._tokens[shard]
        needs = (1.0, float(size))
        if any(rate and need > token for rate, need, token in zip(self._rates, needs, tokens, strict=True)):
            self.throttled[shard] += 1
            return False
        for index, need in enumerate(needs):
            tokens[index] -= need
        self.taken[shard] += 1
        return True

    def _refill(self, now: float) -> None:
        seconds, self._at = now - self._at, now
        if seconds > 0:
            for tokens in self._tokens:
                for index, rate in enumerate(self._rates):
                    tokens[index] = min(rate * BURST_SECONDS, tokens[index] + rate * seconds)

    def told(self) -> list[dict[str, Any]]:
        """As ListShards tells them."""
        width = _KEYS // len(self.taken)
        last = len(self.taken) - 1
        return [
            {
                "ShardId": shard_id(index),
                "HashKeyRange": {
                    "StartingHashKey": str(index * width),
                    "EndingHashKey": str(_KEYS - 1 if index == last else (index + 1) * width - 1),
                },
                "SequenceNumberRange": {"StartingSequenceNumber": "1"},
            }
            for index in range(len(self.taken))
        ]


def shard_id(index: int) -> str:
    """The name of a shard."""
    return f"shardId-{index:012d}"
