"""Calls to AWS while dead letters are read: repeated a few times where that helps, else a sentence of what to do."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Any

from service.aws.advice import advice
from service.aws.failures import AWS_ERRORS, retry_for
from service.delivery.backoff import delay
from service.dlq.reader import StoreError
from service.outcome import Reason

CALL_SECONDS = 30.0
ATTEMPTS = 6
_PASSES = frozenset(
    {Reason.THROTTLED, Reason.UNAVAILABLE, Reason.INTERNAL, Reason.TIMEOUT, Reason.CONNECTION_LOST, Reason.UNREACHABLE}
)


async def ask(call: Callable[[], Awaitable[Any]], what: str, action: str, region: str) -> Any:
    """The answer to `call`. Raises StoreError; `what` and `action` as for `advice`."""
    rng = random.Random()
    for attempt in range(1, ATTEMPTS + 1):
        try:
            return await call()
        except AWS_ERRORS as error:
            retry = retry_for(error)
            if attempt == ATTEMPTS or retry.reason not in _PASSES:
                raise StoreError(advice(retry, what, action, region)) from error
        await asyncio.sleep(delay(attempt, retry.after, rng))
    raise AssertionError("the last attempt returns or raises")
