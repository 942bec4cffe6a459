"""A destination's process dies while producers post: 503 with Retry-After, other lanes go on, and it comes back."""

import asyncio
from pathlib import Path

import aiohttp

from examples.quickstart.resources import create
from tests.conservation import assert_conserved, total
from tests.integration.gateway import batches, gateway, post

SINKS = ("stream", "lake", "queue")
"""Those that live in the emulator; `topic` is Kafka."""
SHORT = {
    **{f"PENSTOCK__SINKS__{sink.upper()}__PATIENCE": "6s" for sink in SINKS},
    **{f"PENSTOCK__SINKS__{sink.upper()}__CALL_TIMEOUT": "3s" for sink in SINKS},
}


async def test_a_dead_destination_is_told_and_delivery_resumes_without_a_restart(tmp_path: Path) -> None:
    async with gateway(tmp_path, SHORT) as running, aiohttp.ClientSession() as session:
        source = batches()
        assert (await post(running, session, next(source)))[0] == 200

        emulator = running.stack.emulator
        assert emulator is not None
        port = int(running.stack.endpoint.rpartition(":")[2])
        emulator.kill()
        emulator.stop()
        status, answer, retry_after = await post(running, session, next(source))
        assert status == 503
        assert int(retry_after) >= 1
        for result in answer["results"]:
            assert (result["status"], result["retryable"]) == ("failed", True)
            assert result["sinks"] == {"stream": "failed", "lake": "failed", "queue": "failed", "topic": "delivered"}
        found = await running.metrics(session)
        settled = "penstock_lane_events_settled_total"
        assert total(found, settled, sink="topic", outcome="delivered") == 40, "the other lane is untouched"
        async with session.get(f"http://127.0.0.1:{running.stack.admin_port}/readyz") as ready:
            assert ready.status == 200
            told = await ready.json()
            assert told["status"] == "degraded"
            assert {reason["sink"] for reason in told["reasons"]} == set(SINKS)

        await asyncio.to_thread(running.stack.start_emulator, port)
        await create(running.aws)
        async with asyncio.timeout(30):
            while (await post(running, session, next(source)))[0] != 200:
                await asyncio.sleep(0.1)
        assert_conserved(await running.metrics(session))
        running.child.check()
