"""A lane that its destination leaves full, beside one that flows."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import msgspec

from bench.contestants import Contestant
from bench.growth.axes import CONNECTIONS, RATE, Axis
from bench.measure import Bench, Disagreement, complaints
from bench.program import Load, Order, asked, load
from bench.rows import MANY, Row

SINK: Final = "firehose"
"""The type and the name of the sink whose destination does not answer. Its lane has no partitions, and drains fast."""
HELD: Final = Row(
    "held",
    "100 a request -> a sink that is held",
    (SINK,),
    MANY,
    route="held",
    settings={SINK: {"call_timeout": "20m", "patience": "40m"}},
)
"""Waits longer than any run takes."""
SETTLING_SECONDS: Final = 30.0
REST_SECONDS: Final = 0.5
"""Between the last event that the lane took and what is measured: its calls have begun by then."""


class Beside(Row, frozen=True):
    """The row's route and sink, and a second route to a sink of its own."""

    def configuration(self, bootstrap: str, endpoint: str) -> dict[str, Any]:
        """As of every row, with the second route; all time-outs long enough to hold it."""
        tree = super().configuration(bootstrap, endpoint)
        held = HELD.configuration(bootstrap, endpoint)
        tree["sinks"] |= held["sinks"]
        tree["routes"] |= held["routes"]
        tree["server"] |= {"request_timeout": "45m", "load_balancer_idle": "50m", "keep_alive": "55m"}
        return tree


WORK: Final = Beside("growth", "1 a request -> Kafka", ("kafka",), connections=CONNECTIONS)
AXIS: Final = Axis(
    "fill",
    "% of another lane's memory held",
    f"{RATE:,.0f} requests a second of one event to a Kafka sink; the other lane's destination does not answer",
    RATE,
    tuple((share, WORK) for share in (0, 50, 95)),
)


class Filler:
    """Fills the lane of one contestant to any share. `calibrate` first."""

    def __init__(self, bench: Bench, contestant: Contestant, folder: Path) -> None:
        self._bench = bench
        self._contestant = contestant
        self._requests = folder / "held.requests"
        self._requests.write_bytes(HELD.ours())
        self._charge = 0.0

    def calibrate(self) -> None:
        """Find what a request's events take of the lane's memory."""
        with self._holding(1):
            self._charge = self._lane()["held_bytes"]

    @contextmanager
    def filled(self, percent: int) -> Iterator[None]:
        """Hold `percent` of the lane's memory while the block runs. Raises Disagreement, before it or after."""
        wanted = self._lane()["capacity_bytes"] * percent / 100
        with self._holding(int(wanted / self._charge)):
            time.sleep(REST_SECONDS)
            yield

    @contextmanager
    def _holding(self, requests: int) -> Iterator[None]:
        """As many requests wait for their answers while the block runs; then all of them are answered with 200."""
        if not requests:
            yield
            return
        before = self._bench.stubs.counts()
        with ThreadPoolExecutor(1) as pool:
            with self._bench.stubs.holding(SINK):
                sending = pool.submit(self._send, requests)
                self._await(requests * MANY)
                yield
            found = sending.result()
        if wrong := complaints(found, MANY, (SINK,), before, self._bench.stubs.counts()):
            raise Disagreement("the lane that was held: " + "; ".join(wrong))

    def _send(self, requests: int) -> Load:
        order = Order(
            requests=self._requests,
            address=self._contestant.address,
            events=MANY,
            connections=requests,
            seconds=1.0,
            rate=requests,
            patience=3600,
        )
        return load(self._bench.program, order)

    def _await(self, events: int) -> None:
        deadline = time.monotonic() + SETTLING_SECONDS
        while (lane := self._lane())["held_events"] != events:
            if time.monotonic() > deadline:
                raise Disagreement(f"the lane was to hold {events} events, and holds {lane['held_events']}")
            time.sleep(0.05)

    def _lane(self) -> dict[str, Any]:
        lane: dict[str, Any] = msgspec.json.decode(asked(f"{self._contestant.admin}/status"))["lanes"][SINK]
        return lane
