"""Starts the fake destination of each test, and ends its faults."""

from collections.abc import AsyncIterator

import pytest

from tests.contract.harness import Harness


@pytest.fixture
async def harness(kind: type[Harness]) -> AsyncIterator[Harness]:
    """The started fake destination of one sink. `kind` comes from `over()`."""
    async with kind() as started:
        yield started
        await started.recover()
