"""What a sink gives to the contract suite: a harness.

To put a sink under contract, add `tests/contract/harness_<name>.py` (at most 60 lines) with one subclass of
`Harness`; it is found by its file name. It starts a fake of the destination that speaks the real wire protocol,
makes sinks that talk to it, and reads back what arrived. Each way in which the destination can fail is a method
of `Harness`: override those that it *can* produce (a file has no partial failure) and name the same in `faults`.
`test_coverage.py` compares the two, so nothing is left out by forgetting it.

A fault lasts, for each call that begins, until `recover()`. A call that a fault refuses takes nothing of what it
refused. Positions are those of the events in the batch given to `write`.
"""

from collections.abc import Awaitable, Collection, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar, Self

from service.event import Event, Origin
from service.sinks.contract import Sink


class Fault(StrEnum):
    """A way in which a destination can fail; the value is the method of `Harness` that causes it."""

    PARTIAL = "fail_events"
    CALL = "fail_calls"
    HANG = "hang"
    WRONG_LENGTH = "answer_wrong_length"
    REFUSE = "poison"
    MISSING = "missing"


@dataclass(frozen=True)
class Received:
    """One event as the destination holds it."""

    body: bytes
    key: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


class Harness:
    """A destination under test. `async with` starts and stops the fake."""

    name: ClassVar[str]
    """The plugin's name, `type:` in the configuration; or that and a variant: `firehose-packed`."""
    faults: ClassVar[frozenset[Fault]]
    """Exactly the faults whose methods are overridden."""
    traced: ClassVar[bool] = False
    """Whether an event travels in something that has headers of its own; `received` tells them."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        return None

    def sink(self) -> Sink:
        """A new sink for the fake destination, not entered."""
        raise NotImplementedError

    async def received(self) -> list[Received]:
        """Everything the destination holds, since it was started."""
        raise NotImplementedError

    def event(self, number: int, body: bytes | None = None) -> Event:
        """Event `number`: different numbers have different ids, keys and bodies."""
        return event(number, body)

    async def recover(self) -> None:
        """End all faults: calls that begin afterwards are served, hanging ones are let go."""

    async def fail_events(self, positions: Collection[int]) -> None:
        """PARTIAL: events at these positions of each call fail, in a way that another attempt may mend."""
        raise NotImplementedError

    async def fail_calls(self) -> None:
        """CALL: every call fails as a whole."""
        raise NotImplementedError

    def hang(self) -> Awaitable[object]:
        """HANG: calls get no answer. The result is done once one has begun to wait."""
        raise NotImplementedError

    async def answer_wrong_length(self) -> None:
        """WRONG_LENGTH: the destination takes all, and answers with one result too few."""
        raise NotImplementedError

    def poison(self, number: int) -> Event:
        """REFUSE: an event within the limits that the destination, or its protocol, never takes."""
        raise NotImplementedError

    def missing(self) -> Sink:
        """MISSING: a sink, not entered, whose destination does not exist. Its `probe` must say so."""
        raise NotImplementedError

    @classmethod
    def offered(cls) -> frozenset[Fault]:
        """The faults whose methods this harness overrides."""
        return frozenset(f for f in Fault if getattr(cls, f.value) is not getattr(Harness, f.value))


def event(number: int, body: bytes | None = None, **changes: Any) -> Event:
    """An event of the suite. Its body is JSON on one line."""
    fields: dict[str, Any] = {
        "id": f"id-{number}",
        "route": "orders",
        "key": f"key-{number}",
        "body": b'{"number":%d}' % number if body is None else body,
        "content_type": "application/json",
        "attributes": {
            "id": f"id-{number}",
            "source": "/contract/ü",
            "type": "com.example.order",
            "specversion": "1.0",
        },
        "origin": Origin(source="http", received_at=1_764_000_000.0),
        **changes,
    }
    return Event(**fields)


def sized(made: Event, size: int) -> Event:
    """The same event with a JSON body of exactly `size` bytes (at least 10)."""
    body = b'{"pad":"%s"}' % (b"x" * (size - 10))
    return Event(**{**{f: getattr(made, f) for f in made.__struct_fields__}, "body": body})


def discover() -> list[type[Harness]]:
    """The harness of each file `harness_*.py` beside this one, by name. Raises TypeError if one has not exactly one."""
    found: list[type[Harness]] = []
    for path in sorted(Path(__file__).parent.glob("harness_*.py")):
        module = import_module(f"tests.contract.{path.stem}")
        own = [
            value
            for value in vars(module).values()
            if isinstance(value, type) and issubclass(value, Harness) and value.__module__ == module.__name__
        ]
        if len(own) != 1:
            raise TypeError(f"{path.name} must have exactly one subclass of Harness, it has {len(own)}")
        found.append(own[0])
    return found
