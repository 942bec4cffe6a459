"""The ceiling: messages as they come from one topic to another, in confluent-kafka alone, as well as that can be done.

`python -m bench.consume.plain BROKERS GROUP BOOTSTRAP` goes on until it is told to end. At least once: offsets are
committed once what was produced before is acknowledged. It reads no event, and knows of no one destination but Kafka.
"""

import signal
import sys
import threading
from collections.abc import Callable
from typing import Any, Final

from confluent_kafka import Consumer, Producer

from bench.consume.ways import TOPIC

AT_ONCE: Final = 1000
"""Messages of a call."""
COMMIT_EVERY: Final = 20_000
"""Messages between commits, each of which waits for acknowledgements."""
FETCHED_KIB: Final = 16 * 1024
"""As our source has it by default, so that as little is read ahead."""


class Failed(Exception):
    """A message was not acknowledged."""


def delivered(error: Any, message: Any) -> None:
    """Hears of each message. Raises Failed, which ends the loop before it commits."""
    if error is not None:
        raise Failed(error)


def pump(consumer: Consumer, producer: Producer, ended: Callable[[], bool]) -> None:
    """Until it is `ended`. All that was consumed is acknowledged then, and committed."""
    consume, produce, poll = consumer.consume, producer.produce, producer.poll
    since = 0
    while not ended():
        messages = consume(AT_ONCE, 0.05)
        for message in messages:
            if message.error() is not None:
                raise Failed(message.error())
            produce(TOPIC, message.value(), message.key(), on_delivery=delivered, headers=message.headers())
        poll(0)
        since += len(messages)
        if since >= COMMIT_EVERY:
            settle(consumer, producer)
            since = 0
    if since:
        settle(consumer, producer)


def settle(consumer: Consumer, producer: Producer) -> None:
    """Commit what was consumed, once it is acknowledged."""
    if producer.flush(60):
        raise Failed("it was not acknowledged in a minute")
    consumer.commit(asynchronous=False)


def main(arguments: list[str]) -> None:
    """Run."""
    brokers, group, bootstrap = arguments
    consumer = Consumer(
        {
            "bootstrap.servers": brokers,
            "group.id": group,
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
            "partition.assignment.strategy": "cooperative-sticky",
            "queued.max.messages.kbytes": FETCHED_KIB,
            "fetch.max.bytes": FETCHED_KIB * 1024,
        }
    )
    producer = Producer(
        {
            "bootstrap.servers": bootstrap,
            "enable.idempotence": True,
            "acks": "all",
            "linger.ms": 5,
            "queue.buffering.max.messages": 2 * COMMIT_EVERY,
        }
    )
    ending = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ending.set())
    consumer.subscribe([TOPIC])
    try:
        pump(consumer, producer, ending.is_set)
    finally:
        consumer.close()


if __name__ == "__main__":
    main(sys.argv[1:])
