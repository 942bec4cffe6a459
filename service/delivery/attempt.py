"""One attempt at a destination: a write or a probe, bounded in time as far as a sink lets itself be cancelled."""

import asyncio
import logging
from collections.abc import Sequence

from service.outcome import Outcome, Reason, Retry
from service.sinks.contract import Batch, Sink

log = logging.getLogger(__name__)


async def write(name: str, sink: Sink, batch: Batch, started: float, seconds: float, silent: bool) -> Sequence[Outcome]:
    """One outcome per event, from one write that ends `seconds` after loop time `started`.

    Raises nothing but CancelledError, if the calling task is cancelled; one that the sink leaks is its failure.
    `silent`: do not log once more that the sink raises.
    """
    try:
        async with asyncio.timeout_at(started + seconds):
            answer: object = await sink.write(batch)
    except TimeoutError:
        return [_no_answer(seconds)] * len(batch)
    except asyncio.CancelledError:
        if _is_cancelled():
            raise
        return [_LEAKED] * len(batch)
    except Exception as error:
        # The contract lets a sink raise anything: it says that nothing is known of any event.
        if not silent:
            log.exception("the sink raised", extra={"sink": name})
        return [Retry(Reason.SINK_ERROR, detail=type(error).__name__)] * len(batch)
    try:
        outcomes: list[Outcome] = list(answer)  # type: ignore[call-overload]  # what it is, nobody has checked
    except Exception as error:  # noqa: BLE001 - a foreign sink's answer is a foreign object, whose methods raise anything
        detail = f"a {type(answer).__name__} for {len(batch)} events: {type(error).__name__}"
        return [Retry(Reason.BAD_ANSWER, detail=detail)] * len(batch)
    if len(outcomes) != len(batch):
        return [Retry(Reason.BAD_ANSWER, detail=f"{len(outcomes)} outcomes for {len(batch)} events")] * len(batch)
    return outcomes


async def probe(sink: Sink, seconds: float, reason: Reason) -> Retry | None:
    """None if the destination says that it can be used; else its trouble, with `reason` if it gives no other."""
    try:
        async with asyncio.timeout(seconds):
            await sink.probe()
    except TimeoutError:
        return _no_answer(seconds)
    except asyncio.CancelledError:
        if _is_cancelled():
            raise
        return _LEAKED
    except Exception as error:  # noqa: BLE001 - a probe says by raising that it failed; a foreign one raises anything
        return Retry(reason, detail=str(error))
    return None


_LEAKED = Retry(Reason.SINK_ERROR, detail="CancelledError")


def _is_cancelled() -> bool:
    """Whether somebody has cancelled the running task."""
    task = asyncio.current_task()
    return task is None or task.cancelling() > 0


def _no_answer(seconds: float) -> Retry:
    return Retry(Reason.TIMEOUT, detail=f"no answer within {seconds:g} s")
