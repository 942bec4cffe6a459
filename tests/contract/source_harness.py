"""What a source gives to the contract suite of sources: a harness.

To put a source under contract, add `tests/contract/source_<name>.py` (at most 60 lines) with one subclass of
`SourceHarness`; it is found by its file name. It starts a fake of what the source receives from, which speaks the real
wire protocol, and tells what was acknowledged there.
"""

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar, Self

from tests.http.running import Service


class SourceHarness:
    """Where events come from, under test. `async with` starts and stops the fake."""

    name: ClassVar[str]
    """The plugin's name, `type:` in the configuration; or that and a variant: `sqs-fifo`."""
    asks: ClassVar[bool] = True
    """Whether it asks somebody for messages. One that is called cannot say how many come, nor that nobody is there."""
    most_held: ClassVar[int] = 20
    """Messages that the source may hold with `settings(bounded=True)`."""
    least_held: ClassVar[int] = most_held
    """And those that it holds at least, if there are so many: it may stop a little before it has to."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        return None

    def settings(self, *, bounded: bool = False) -> dict[str, Any]:
        """Those of the source, which takes everything to the route `orders`. What fails comes again soon."""
        raise NotImplementedError

    def serving(self, service: Service) -> Self:
        """The service runs: whoever calls the source, or asks what it has counted, knows where."""
        self._service = service
        return self

    async def send(self, bodies: Sequence[bytes]) -> None:
        """Messages for the source, of one order."""
        raise NotImplementedError

    async def acknowledged(self, count: int) -> list[bytes]:
        """The messages that were acknowledged, at least so many."""
        raise NotImplementedError

    async def acknowledged_now(self) -> list[bytes]:
        """The same, as many as there are."""
        raise NotImplementedError

    async def taken(self, count: int) -> None:
        """Return once the source has received so many, and receives no more if it is `bounded`."""
        raise NotImplementedError

    async def taken_now(self) -> int:
        """Messages that it has received, and has not acknowledged."""
        raise NotImplementedError

    async def available(self, count: int) -> None:
        """Return once so many messages can be received by somebody else."""
        raise NotImplementedError

    def fail(self) -> None:
        """Refuse everything, until `recover`."""
        raise NotImplementedError

    def recover(self) -> None:
        """Serve again."""
        raise NotImplementedError


def discover() -> list[type[SourceHarness]]:
    """The harness of each file `source_*.py` beside this one, by name."""
    found: list[type[SourceHarness]] = []
    for path in sorted(Path(__file__).parent.glob("source_*.py")):
        if path.stem == "source_harness":
            continue
        module = import_module(f"tests.contract.{path.stem}")
        found += [
            value
            for value in vars(module).values()
            if isinstance(value, type) and issubclass(value, SourceHarness) and value.__module__ == module.__name__
        ]
    return found
