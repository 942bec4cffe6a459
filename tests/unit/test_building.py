"""What becomes of sinks and sources that start when one refuses: every mistake is told, and all others are left."""

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Self

import pytest

from service.building import build, placed
from service.config import load
from service.errors import ConfigError
from service.sinks.contract import ProbeError
from service.sinks.memory import Memory
from service.telemetry.meter import Meter
from tests.unit.written import write

left: list[str] = []

TROUBLES = {
    "config": ConfigError(["kinesis: no region"]),
    "placed": ConfigError(["sinks.c.properties: no such property"]),
    "probe": ProbeError("not there"),
    "defect": ZeroDivisionError("a defect"),
}


class Entering(Memory):
    """Enters after some turns of the loop, if there is no trouble."""

    class Config(Memory.Config):
        """Settings of an entering sink."""

        turns: int = 0
        trouble: str = ""

    def __init__(self, name: str, config: Config) -> None:
        super().__init__(name, config)
        self._config = config

    async def __aenter__(self) -> Self:
        for _ in range(self._config.turns):
            await asyncio.sleep(0)
        if self._config.trouble:
            raise TROUBLES[self._config.trouble]
        return self

    async def __aexit__(self, *_: object) -> None:
        left.append(self.name)


async def built(folder: Path, **sinks: str) -> None:
    """Build the pipeline of these sinks, and leave it."""
    kind = f"{__name__}:Entering"
    text = "".join(f'  {name}: {{type: "{kind}", {settings}}}\n' for name, settings in sinks.items())
    config = load(write(folder, f"sinks:\n{text}routes: {{r: {{to: [{', '.join(sinks)}]}}}}\n"), {})
    left.clear()
    async with AsyncExitStack() as stack:
        await build(config, Meter(), stack)


async def test_every_mistake_is_told_with_its_path_and_the_others_are_left(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        await built(
            tmp_path, a="trouble: config", b="turns: 9", c="trouble: placed, turns: 3", d="trouble: probe, turns: 5"
        )
    assert caught.value.mistakes == [
        "sinks.a: kinesis: no region",
        "sinks.c.properties: no such property",
        "sinks.d: not there",
    ]
    assert left == ["b"]


async def test_a_defect_of_one_sink_is_raised_once_the_others_can_be_left(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError):
        await built(tmp_path, a="trouble: defect", b="turns: 9")
    assert left == ["b"]


def test_what_a_source_cannot_be_entered_with_is_told_with_its_path() -> None:
    with pytest.raises(ConfigError) as raised, placed("sources.incoming"):
        raise ConfigError(["no region", "sources.incoming.path: is away"])
    assert raised.value.mistakes == ["sources.incoming: no region", "sources.incoming.path: is away"]
