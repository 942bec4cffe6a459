"""A destination asked directly, at rest: what it takes by itself to acknowledge one event.

Those of AWS by the load generator, one record a call. Kafka by `python -m bench.direct BOOTSTRAP RATE SECONDS`: a bare
producer with the settings of the kafka sink, one message at a time, until its delivery is reported; it prints JSON.
"""

import json
import os
import subprocess
import sys
import time
from base64 import b64encode
from math import ceil
from pathlib import Path
from typing import Any

import msgspec
from confluent_kafka import Producer
from msgspec import Struct

from bench import bodies
from bench.destinations import TARGETS
from bench.measure import Bench, Disagreement, complaints
from bench.program import Order, load
from bench.rows import KINDS, Row
from deploy.local.emulator import isolated


class Quantiles(Struct, frozen=True):
    """Latencies of one run."""

    p50_ms: float
    p99_ms: float
    void: list[str] = []
    """Why it does not count; empty if it does."""


def latency(bench: Bench, row: Row, folder: Path, *, connections: int, seconds: float, rate: float) -> Quantiles:
    """What the row's one destination takes. Raises Disagreement."""
    (destination,) = row.to
    if destination == "kafka":
        return _kafka(bench, seconds, rate)
    file = folder / "direct.requests"
    file.write_bytes(requests(destination, bench.stubs.endpoint))
    order = Order(
        requests=file,
        address=bench.stubs.endpoint.removeprefix("http://"),
        connections=connections,
        seconds=seconds,
        rate=rate,
    )
    before = bench.stubs.counts()
    found = load(bench.program, order)
    if wrong := complaints(found, 1, row.to, before, bench.stubs.counts()):
        raise Disagreement(f"{destination}, asked directly: " + "; ".join(wrong))
    return Quantiles(found.p50_ms, found.p99_ms)


def requests(destination: str, endpoint: str) -> bytes:
    """Calls to a destination of AWS with a record of one event each; unsigned, which the stubs do not look at."""
    headers = {"Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": TARGETS[destination][1]}
    made = [_call(destination, endpoint, number) for number in range(KINDS)]
    return bodies.framed([bodies.request("/", headers, json.dumps(each).encode()) for each in made])


def _call(destination: str, endpoint: str, number: int) -> dict[str, Any]:
    event = bodies.event(number)
    match destination:
        case "kinesis":
            key = f"order-{number:03d}"
            return {"StreamName": "orders", "Records": [{"Data": b64encode(event).decode(), "PartitionKey": key}]}
        case "firehose":
            return {"DeliveryStreamName": "orders", "Records": [{"Data": b64encode(event + b"\n").decode()}]}
        case _:
            entry = {"Id": "0", "MessageBody": event.decode()}
            return {"QueueUrl": f"{endpoint}/000000000000/orders", "Entries": [entry]}


def _kafka(bench: Bench, seconds: float, rate: float) -> Quantiles:
    """By a producer on the service's core. Raises Disagreement."""
    before = bench.stubs.counts().kafka.events
    command = ["taskset", "-c", str(bench.service_core), sys.executable, "-m", "bench.direct"]
    ran = subprocess.run(
        [*command, bench.stubs.bootstrap, str(rate), str(seconds)],
        capture_output=True,
        text=True,
        env=isolated(os.environ),
        check=False,
    )
    if ran.returncode:
        raise Disagreement(f"the bare producer failed: {ran.stderr.strip()[-500:]}")
    taken = bench.stubs.counts().kafka.events - before
    if taken != (wanted := 1 + int(rate * seconds)):
        raise Disagreement(
            f"kafka has taken {taken} events of a bare producer, and {wanted} were reported as delivered"
        )
    return msgspec.json.decode(ran.stdout, type=Quantiles)


def quantile(values: list[float], share: float) -> float:
    """The smallest value that is at least as large as `share` of all."""
    return sorted(values)[max(0, ceil(share * len(values)) - 1)]


def main(bootstrap: str, rate: str, seconds: str) -> None:
    """Produce one message at a time and print the quantiles; the first one, which connects, does not count."""
    from service.sinks.kafka import Kafka
    from service.sinks.kafka_properties import settings

    producer = Producer(dict(settings(Kafka.Config(type="kafka", brokers=bootstrap, topic="orders"))))
    attributes: list[tuple[str, str | bytes | None]] = [(f"ce_{number}", "some-attribute") for number in range(8)]
    reported: list[object] = []
    milliseconds = []
    began = time.perf_counter()
    for number in range(1 + int(float(rate) * float(seconds))):
        time.sleep(max(0.0, began + number / float(rate) - time.perf_counter()))
        event, key = bodies.event(number % KINDS), f"order-{number % KINDS:03d}"
        sent = time.perf_counter()
        producer.produce("orders", event, key, headers=attributes, on_delivery=lambda error, _: reported.append(error))
        while len(reported) <= number:
            producer.poll(1)
        milliseconds.append((time.perf_counter() - sent) * 1000)
    assert not any(reported), reported
    counted = milliseconds[1:]
    print(json.dumps({"p50_ms": quantile(counted, 0.5), "p99_ms": quantile(counted, 0.99)}))


if __name__ == "__main__":
    main(*sys.argv[1:])
