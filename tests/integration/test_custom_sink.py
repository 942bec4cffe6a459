"""Somebody else's sink in the running service: loaded by its path, delivered to, refused by, and waited for."""

import asyncio
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import orjson
import pytest

from tests.contract.fake_webhook import POISON, FakeWebhook
from tests.integration.command import Serving


@pytest.fixture
async def hook() -> AsyncIterator[FakeWebhook]:
    async with FakeWebhook() as started:
        yield started


def configured(folder: Path, hook: FakeWebhook) -> Serving:
    """The service with one route to the hook, not started."""
    (folder / "penstock.yaml").write_text(
        f"""
        sinks:
          hook:
            type: "examples.custom_sink.webhook:Webhook"
            url: "{hook.address}/hook"
            patience: 6s
            call_timeout: 3s
        routes:
          orders: {{to: [hook]}}
        """
    )
    return Serving("serve", folder=folder)


async def test_a_sink_of_somebody_else_delivers_refuses_and_is_tried_again(tmp_path: Path, hook: FakeWebhook) -> None:
    def produce() -> list[tuple[int, str]]:
        answers = []
        with configured(tmp_path, hook) as serving:
            for body in ({"total": 1}, {"note": POISON.decode()}):
                status, answer = serving.post("orders", body)
                answers.append((status, answer["results"][0]["status"]))
            hook.failing = None
            status, answer = serving.post("orders", {"total": 2})
            answers.append((status, answer["results"][0]["status"]))
            hook.failing = ()
            # as a producer does: the lane looks again by itself, after the back-off that it is in
            while (status := serving.post("orders", {"total": 3})[0]) == 503:
                pass
            answers.append((status, "delivered"))
            serving.signal(signal.SIGTERM)
            serving.end_well()
        return answers

    answers = await asyncio.to_thread(produce)
    assert answers == [(200, "delivered"), (422, "rejected"), (503, "failed"), (200, "delivered")]
    # no headers beside the body, so each event comes as a CloudEvent that carries its id
    events = [orjson.loads(body) for body in hook.taken]
    assert [event["data"] for event in events] == [{"total": 1}, {"total": 3}]
    assert all(event["specversion"] == "1.0" and event["id"] for event in events)
