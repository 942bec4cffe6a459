"""The Kafka way in: a part of the flights is written to a topic, which Penstock reads as a member of a group.

Nobody answers there. What is to become of each event follows from the schema: valid, it arrives behind every sink;
else it is among the dead letters.
"""

import asyncio
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Final

import jsonschema_rs
import orjson
from confluent_kafka import KafkaError, KafkaException, Producer

from examples.quickstart.ledger import REQUIRED, Destination, Fate, Ledger
from examples.quickstart.resources import INCOMING

PART: Final = 5
"""Every fifth flight."""
FLUSH_SECONDS: Final = 30.0
_CONTENT_TYPE: Final[dict[str, str | bytes | None]] = {"content-type": "application/cloudevents+json"}
_SCHEMA: Final = Path(__file__).with_name("flight.schema.json")
Event = dict[str, Any]


class Production:
    """Writes events to the topic, and enters into the ledger what is to become of them."""

    def __init__(self, brokers: str, ledger: Ledger, advanced: Callable[[int], object]) -> None:
        """`advanced` hears of events once the broker has them."""
        self._producer = Producer({"bootstrap.servers": brokers, "enable.idempotence": True})
        self._valid = jsonschema_rs.validator_for(orjson.loads(_SCHEMA.read_bytes())).is_valid
        self._ledger = ledger
        self._advanced = advanced
        self.written = 0

    def divert(self, events: Iterable[Event]) -> Iterator[Event]:
        """The events that go another way: all but every PART-th, which is written."""
        for number, event in enumerate(events):
            if number % PART:
                yield event
            else:
                self._write(event)

    def _write(self, event: Event) -> None:
        def acknowledged(error: KafkaError | None, message: object) -> None:
            del message
            if error is not None:
                raise KafkaException(error)
            self._ledger.answered(event["id"], self._fates(event))
            self.written += 1
            self._advanced(1)

        self._ledger.sent([event["id"]])
        key = str(event["data"].get("flight"))
        self._producer.produce(INCOMING, orjson.dumps(event), key, headers=_CONTENT_TYPE, on_delivery=acknowledged)
        self._producer.poll(0)

    def _fates(self, event: Event) -> dict[Destination, Fate]:
        if self._valid(event["data"]):
            return dict.fromkeys(REQUIRED, Fate.DELIVERED)
        return dict.fromkeys(REQUIRED, Fate.REJECTED) | {Destination.DEAD: Fate.DELIVERED}

    async def flush(self) -> None:
        """Return once the broker has all of them. Raises KafkaException."""
        await asyncio.to_thread(self._producer.flush, FLUSH_SECONDS)
