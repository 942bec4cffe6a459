"""The sum of the primitives of a way from Kafka: what none can do without that keeps the promises of ours.

`python -m bench.consume.primitives ROW BROKERS BOOTSTRAP ENDPOINT` prints microseconds of CPU per event as JSON, by
part, as `bench.primitives` does. None of our service's code is in it.
"""

import json
import sys
from contextlib import ExitStack
from time import process_time
from typing import Final
from uuid import uuid4

from confluent_kafka import Consumer
from msgspec.structs import replace

from bench.consume.plain import AT_ONCE, FETCHED_KIB
from bench.consume.ways import TOPIC, WAYS
from bench.primitives import cost, parts

WARM: Final = 20_000
COUNTED: Final = 60_000
"""Messages that the consumer reads: the first are not timed."""


def consumed(brokers: str) -> float:
    """Microseconds of CPU per message that is consumed, its value, key and headers taken."""
    consumer = Consumer(
        {
            "bootstrap.servers": brokers,
            "group.id": f"primitives-{uuid4()}",
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
            "queued.max.messages.kbytes": FETCHED_KIB,
        }
    )
    consumer.subscribe([TOPIC])
    read, began = 0, 0.0
    try:
        while read < WARM + COUNTED:
            messages = consumer.consume(AT_ONCE, 5)
            for message in messages:
                if message.error() is not None:
                    raise RuntimeError(message.error())
                message.value(), message.key(), message.headers(), message.partition(), message.offset()
            if read < WARM <= read + len(messages):
                began = process_time()
                counted_from = read + len(messages)
            read += len(messages)
        return (process_time() - began) / (read - counted_from) * 1e6
    finally:
        consumer.close()


def main(arguments: list[str]) -> None:
    """Print the parts of a row."""
    name, brokers, bootstrap, endpoint = arguments
    row = next(each for each in WAYS if each.name == name)
    found = {"consume": consumed(brokers)}
    with ExitStack() as stack:
        work = parts(replace(row, events=100), bootstrap, endpoint, stack)
        # the broker has them apart
        del work["split"]
        found |= {part: cost(*each) for part, each in work.items()}
    print(json.dumps(found))


if __name__ == "__main__":
    main(sys.argv[1:])
