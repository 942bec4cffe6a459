"""The sqs source before it receives: its settings, and what `penstock doctor` asks."""

from typing import Any

import pytest
from pydantic import ValidationError

from service.sinks.contract import ProbeError
from service.sinks.sqs import Sqs as SqsSink
from service.sources.sqs.source import Sqs
from tests.contract.fake_aws import Refusal
from tests.contract.fake_sqs import FakeSqs
from tests.unit.test_sqs_source import unentered


async def test_a_probe_needs_no_entered_source_and_says_what_to_do() -> None:
    async with FakeSqs() as sqs:
        source = unentered(sqs)
        await source.probe()
        sqs.refusals["GetQueueAttributes"] = Refusal("AccessDeniedException")
        with pytest.raises(ProbeError, match="allow sqs:GetQueueAttributes"):
            await source.probe()
        sqs.exists = False
        sqs.refusals.clear()
        with pytest.raises(ProbeError, match="'incoming' does not exist"):
            await source.probe()
        assert sqs.asked("ReceiveMessage") == []


def _config(**settings: Any) -> Sqs.Config:
    return Sqs.Config(**({"type": "sqs", "queue": "q", "route": "orders"} | settings))


def test_settings_that_cannot_work_are_refused() -> None:
    for wrong in (
        {"visibility": "2500ms"},
        {"wait": "0s"},
        {"queue": "a b"},
        {"memory": "1MiB", "max_message": "2MiB"},
    ):
        with pytest.raises(ValidationError):
            _config(**wrong)


def test_workers_divide_what_is_held_and_one_asks_for_the_lag() -> None:
    config = _config(window=1000, memory="64MiB")
    shares = [config.share(4, worker) for worker in range(4)]
    assert [(each.window, each.memory) for each in shares] == [(250, 16 * 2**20)] * 4
    assert [bool(each.lag_interval) for each in shares] == [True, False, False, False]


def test_the_region_of_an_arn_wins() -> None:
    assert _config(queue="arn:aws:sqs:us-west-2:123456789012:q", region="eu-west-1").named_region() == "us-west-2"


def test_a_queue_that_a_sink_fills_is_known_as_far_as_the_settings_tell() -> None:
    source = _config(queue="orders", region="eu-west-1")
    for queue, same in (
        ("orders", True),
        ("arn:aws:sqs:eu-west-1:123456789012:orders", True),
        ("arn:aws:sqs:us-east-1:123456789012:orders", False),
        ("others", False),
    ):
        sink = SqsSink.Config(type="sqs", queue=queue, region="eu-west-1")
        assert source.reads(sink) is same
