"""Background tasks that end with whoever began them."""

import asyncio
from typing import Any


async def ended(task: asyncio.Task[Any]) -> None:
    """Cancel a task and wait until it has ended. Raises what it raised, if that is how it ended.

    Whoever is cancelled in the meantime stays so: awaiting the task itself could not tell the two apart.
    """
    task.cancel()
    await asyncio.wait({task})
    if not task.cancelled():
        task.result()
