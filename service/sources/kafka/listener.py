"""What the thread of a Kafka consumer tells the event loop, in the order in which it happens."""

import asyncio
import contextlib
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from typing import Protocol

from confluent_kafka import Message as KafkaMessage

from service.sources.kafka.partition import Key


class Listener(Protocol):
    """Whoever the thread tells. Everything is called in the event loop."""

    def received(self, messages: Sequence[KafkaMessage]) -> None:
        """Messages, in their order. `Polling.taken` is to be called for it: two at most are under way."""

    def ended(self, ends: Sequence[tuple[Key, int]]) -> None:
        """Nothing more is there now before these offsets."""

    def assigned(self, keys: Sequence[Key]) -> None:
        """These partitions are ours from now on."""

    def revoking(self, keys: Sequence[Key], result: "Future[dict[Key, int]]") -> None:
        """They are about to go. `result` is what to commit, once what is under way is settled or a bound is over."""

    def gone(self, keys: Sequence[Key]) -> None:
        """They are ours no longer."""

    def restarted(self, key: Key) -> None:
        """What comes of this partition from now on was asked for by `rewind`."""

    def uncommitted(self, keys: Sequence[Key]) -> None:
        """What was to be committed of these was not."""

    def seen(self, ends: Mapping[Key, int], starts: Mapping[Key, int]) -> None:
        """Where each partition ends now, and where those begin of which nothing was received."""

    def troubled(self, trouble: str | None) -> None:
        """What is wrong now, in words; None: nothing."""


def tell(loop: asyncio.AbstractEventLoop, hears: Callable[..., object], *arguments: object) -> None:
    """Have the loop call `hears`. A thread that outlives its loop, because librdkafka keeps it, tells nobody."""
    with contextlib.suppress(RuntimeError):
        loop.call_soon_threadsafe(hears, *arguments)
