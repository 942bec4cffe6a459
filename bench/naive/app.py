"""The naive service: `DESTINATIONS=kafka,sqs uvicorn bench.naive.app:app`. A request is answered once all have it."""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from typing import Protocol

from fastapi import FastAPI, HTTPException

from bench.naive.models import Event


class Destination(Protocol):
    """Where events go."""

    async def send(self, event: Event) -> None:
        """Return once it is acknowledged; raises if it is not."""

    async def send_many(self, events: Sequence[Event]) -> None:
        """The same for all of them."""


_destinations: list[Destination] = []


@asynccontextmanager
async def _life(_: FastAPI) -> AsyncIterator[None]:
    async with AsyncExitStack() as stack:
        for name in os.environ["DESTINATIONS"].split(","):
            _destinations.append(await stack.enter_async_context(_connected(name)))
        yield


def _connected(name: str) -> AbstractAsyncContextManager[Destination]:
    """A service imports only the client library that it needs: what the others load costs garbage collection."""
    if name == "kafka":
        from bench.naive import kafka

        return kafka.connected()
    from bench.naive import aws

    return aws.connected(name)


app = FastAPI(lifespan=_life)


@app.post("/event", response_model=None)
async def one(event: Event) -> dict[str, int]:
    """Take one event."""
    await _all([destination.send(event) for destination in _destinations])
    return {"accepted": 1}


@app.post("/batch", response_model=None)
async def many(events: list[Event]) -> dict[str, int]:
    """Take a JSON array of events."""
    await _all([destination.send_many(events) for destination in _destinations])
    return {"accepted": len(events)}


async def _all(sends: Sequence[Awaitable[None]]) -> None:
    try:
        if len(sends) == 1:
            await sends[0]
        else:
            await asyncio.gather(*sends)
    except Exception as error:  # whatever a client library raises, it was not delivered
        raise HTTPException(503, str(error)) from error
