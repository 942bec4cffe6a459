"""What the brokers say to a consumer: how much there is to come, and what is wrong. In the thread that polls."""

import asyncio
import logging
from collections.abc import Collection, Sequence
from typing import Final

from confluent_kafka import Consumer, KafkaError, KafkaException

from service.sources.kafka_listener import Listener
from service.sources.kafka_partition import Key

log = logging.getLogger(__name__)

ASK_SECONDS: Final = 2.0
"""How long a question to the brokers may take."""


class Condition:
    """Tells the listener, and the log when it begins and when it ends."""

    def __init__(self, name: str, topics: Sequence[str], listener: Listener, loop: asyncio.AbstractEventLoop) -> None:
        self._name = name
        self._topics = topics
        self._listener = listener
        self._loop = loop
        self._trouble: str | None = None

    def look(self, consumer: Consumer, paused: Collection[Key]) -> None:
        """Find out where the partitions end, and whether trouble is over."""
        assignment = consumer.assignment()
        ends: dict[Key, int] = {}
        starts: dict[Key, int] = {}
        try:
            for each in assignment:
                key = (each.topic, each.partition)
                # what is paused is not fetched, so that librdkafka learns nothing of it
                low, high = consumer.get_watermark_offsets(each, timeout=ASK_SECONDS, cached=key not in paused)
                if high >= 0:
                    ends[key], starts[key] = high, max(low, 0)
            if self._trouble is not None:
                self._recover(consumer)
        except KafkaException as error:
            self.complain(error.args[0])
        if assignment:
            self._loop.call_soon_threadsafe(self._listener.seen, ends, starts)

    def _recover(self, consumer: Consumer) -> None:
        """Say that all is well if the brokers answer, and have what is read. Raises KafkaException."""
        found = consumer.list_topics(timeout=ASK_SECONDS).topics
        missing = [topic for topic in self._topics if not topic.startswith("^") and topic not in found]
        if missing:
            self.say(f"there is no topic {missing[0]!r} for this client; create it, or allow Describe and Read")
        else:
            self.say(None)

    def complain(self, error: KafkaError) -> None:
        """Something is wrong, and librdkafka goes on trying. Raises KafkaException if it says that it cannot."""
        if error.fatal():
            raise KafkaException(error)
        if error.code() == KafkaError._MAX_POLL_EXCEEDED:
            log.error("the poll stood still for too long", extra={"source": self._name, "detail": error.str()})
        elif self._trouble is None or error.code() != KafkaError._ALL_BROKERS_DOWN:
            self.say(error.str())

    def say(self, trouble: str | None) -> None:
        """This is wrong now; None: nothing is."""
        if trouble == self._trouble:
            return
        if self._trouble is None:
            log.warning("a source cannot receive", extra={"source": self._name, "detail": trouble})
        elif trouble is None:
            log.info("a source receives again", extra={"source": self._name})
        self._trouble = trouble
        self._loop.call_soon_threadsafe(self._listener.troubled, trouble)
