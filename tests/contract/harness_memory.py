"""The memory sink is its own destination."""

from typing import ClassVar, Self

from service.outcome import DELIVERED
from service.sinks.contract import Batch
from service.sinks.memory import Memory
from tests.contract.harness import Fault, Harness, Received, event, sized


class MemoryHarness(Harness):
    """Fails only by being full."""

    name = "memory"
    faults: ClassVar[frozenset[Fault]] = frozenset({Fault.CALL})

    async def __aenter__(self) -> Self:
        self._sink = Memory("memory", Memory.Config(type="memory", capacity=32 * 2**20))
        return self

    def sink(self) -> Memory:
        return self._sink

    async def received(self) -> list[Received]:
        return [
            Received(e.body, e.key, {f"ce_{name}": value for name, value in e.attributes.items()})
            for e in self._sink.events
            if e.route != "filler"
        ]

    async def fail_calls(self) -> None:
        for size in (2**20, 2**12, 10):
            filler = Batch([sized(event(0, route="filler"), size)])
            while (await self._sink.write(filler))[0] is DELIVERED:
                pass

    async def recover(self) -> None:
        kept = [e for e in self._sink.take() if e.route != "filler"]
        if kept:
            await self._sink.write(Batch(kept))
