"""`python -m bench.path`: CPU per event from a body to a settled receipt, beside the primitives it cannot do without.

No socket and no destination: the memory sink takes everything. Figures are medians of several rounds, the rows
interleaved; compare the ratios, machines are noisy.
"""

import asyncio
import json
import statistics
import sys
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from time import process_time

import jsonschema_rs
import orjson

from bench.bodies import SCHEMA, array, event, lines
from service.auth.principal import ANYBODY, Grant
from service.config.settings import ServerConfig
from service.delivery.entry import Terms
from service.delivery.lane import Lane
from service.delivery.pipeline import Pipeline
from service.delivery.route import Leg, Route
from service.http.ingest import Ingest
from service.http.reading import Request
from service.schemas.jsonschema import JsonSchema
from service.sinks.memory import Memory
from service.telemetry.meter import Meter

ROUNDS = 9
EVENTS_A_ROUND = 4000
MANY = 100
EVENTS = [event(number) for number in range(MANY)]
ARRAY = array(EVENTS)
LINES = lines(EVENTS)
BATCH = "application/cloudevents-batch+json"
ONE = "application/cloudevents+json"
Work = Callable[[], Awaitable[None]]


class IngestPath:
    """The path with one route to one memory sink."""

    def __init__(self, schema: Path | None) -> None:
        meter = Meter()
        config = Memory.Config(type="memory", memory=2**28, capacity=2**30)
        self._sink = Memory("memory", config)
        lane = Lane("memory", self._sink, config, meter)
        terms = Terms("orders", required=True, patient=False)
        compiled = JsonSchema(JsonSchema.Config(type="jsonschema", file=schema)) if schema else None
        route = Route("orders", (Leg(lane, terms, "auto"),), schema=compiled)
        pipeline = Pipeline({"orders": route}, {"memory": lane})
        self._ingest = Ingest(pipeline, ServerConfig(), meter)

    async def send(self, body: bytes, content_type: str) -> None:
        """One request, until it is answered."""
        head = self._ingest.head("orders", {"content-type": content_type}, Grant(ANYBODY))
        pending = await self._ingest.taken(Request(head, body, "bench"))
        await pending.wait(10)
        assert pending.answer().status == 200
        self._sink.take()


def rows(schema: Path) -> dict[str, tuple[Work, int]]:
    """By name: what is measured, and how many events it is."""
    plain, checked = IngestPath(None), IngestPath(schema)
    validator = jsonschema_rs.validator_for(SCHEMA)

    async def primitives() -> None:
        for each in EVENTS:
            assert validator.is_valid(orjson.loads(each)["data"])

    return {
        "primitives: orjson.loads and jsonschema-rs": (primitives, MANY),
        "1 a request": (lambda: plain.send(EVENTS[0], ONE), 1),
        "1 a request, schema": (lambda: checked.send(EVENTS[0], ONE), 1),
        f"{MANY} a request, CloudEvents batch": (lambda: plain.send(ARRAY, BATCH), MANY),
        f"{MANY} a request, CloudEvents batch, schema": (lambda: checked.send(ARRAY, BATCH), MANY),
        f"{MANY} a request, lines": (lambda: plain.send(LINES, "application/x-ndjson"), MANY),
    }


async def measure(schema: Path) -> dict[str, float]:
    """Microseconds of CPU per event, by row."""
    measured = rows(schema)
    found: dict[str, list[float]] = {name: [] for name in measured}
    for round_number in range(ROUNDS + 1):
        for name, (work, events) in measured.items():
            times = EVENTS_A_ROUND // events
            began = process_time()
            for _ in range(times):
                await work()
            if round_number:  # the first one warms up
                found[name].append((process_time() - began) / (times * events) * 1e6)
    return {name: statistics.median(times) for name, times in found.items()}


def main() -> None:
    """Print the table."""
    with tempfile.TemporaryDirectory() as folder:
        schema = Path(folder, "schema.json")
        schema.write_text(json.dumps(SCHEMA))
        found = asyncio.run(measure(schema))
    unit = next(iter(found.values()))
    print(f"{'per event of 889 bytes':<48}{'µs of CPU':>10}{'x primitives':>14}")
    for name, microseconds in found.items():
        print(f"{name:<48}{microseconds:>10.2f}{microseconds / unit:>14.1f}")
    print(f"\nPython {sys.version.split()[0]}, median of {ROUNDS} rounds of {EVENTS_A_ROUND} events")


if __name__ == "__main__":
    main()
