"""The stdout sink on a pipe, which somebody reads, does not read, or no longer reads."""

import asyncio
import os
from collections.abc import Awaitable
from contextlib import suppress
from typing import Self

from service.event import Event
from service.sinks.stdout import Stdout
from tests.contract.harness import Fault, Harness, Received, event


class StdoutHarness(Harness):
    name, faults = "stdout", frozenset({Fault.CALL, Fault.HANG, Fault.REFUSE})

    async def __aenter__(self) -> Self:
        self._read, self._write = os.pipe()
        self._held = bytearray()
        await self.recover()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.fail_calls()
        os.close(self._write)

    def sink(self) -> Stdout:
        return Stdout("stdout", Stdout.Config(type="stdout", descriptor=self._write))

    async def received(self) -> list[Received]:
        self._drain()
        return [Received(bytes(line)) for line in self._held.split(b"\n") if line]

    def _drain(self) -> None:
        with suppress(BlockingIOError):
            self._held += os.read(self._read, 2**20)

    async def fail_calls(self) -> None:
        asyncio.get_running_loop().remove_reader(self._read)
        os.close(self._read)
        self._read = -1

    def hang(self) -> Awaitable[object]:
        asyncio.get_running_loop().remove_reader(self._read)
        self._drain()
        os.set_blocking(self._write, False)
        os.write(self._write, b"\n" * 2**20)  # as many blank lines as there is room for
        os.set_blocking(self._write, True)
        return asyncio.sleep(0)  # the write that is about to start then waits for room

    async def recover(self) -> None:
        if self._read < 0:
            self._read, write = os.pipe()
            os.dup2(write, self._write)
            os.close(write)
        os.set_blocking(self._read, False)
        asyncio.get_running_loop().add_reader(self._read, self._drain)

    def poison(self, number: int) -> Event:
        return event(number, b"\xff not UTF-8 %d" % number)
