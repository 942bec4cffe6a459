"""Retry-After of an answer: from the lanes that a retry would go to, and no others."""

import asyncio
import random

import orjson

from service.delivery.pipeline import Pipeline
from service.outcome import Reason
from service.receipt import Fate, Receipt, Settlement
from service.sources.pending import Pending
from service.sources.preferences import Preferences
from service.sources.reading import Refused, Taken
from service.telemetry.meter import Meter
from tests.flow.scripted import Faults, ScriptedSink, all_settled, event, lane
from tests.flow.test_lane import put


async def test_a_lane_that_refuses_for_good_does_not_count() -> None:
    meter = Meter()
    quick = lane(ScriptedSink(Faults(seconds=0.0), random.Random(1)), meter, "quick")
    unknown = lane(ScriptedSink(Faults(), random.Random(1)), meter, "unknown")
    await all_settled(put(quick, 3))
    assert quick.retry_after() < 2 <= unknown.retry_after()
    receipt = Receipt([("quick",), ("unknown",)])
    receipt.settle(0, "quick", Settlement(Fate.EXPIRED, Reason.THROTTLED))
    receipt.settle(1, "unknown", Settlement(Fate.REJECTED, Reason.REFUSED_CONTENT, refused=True))
    items: list[Refused | Taken] = [Taken(event(0).id, 0), Taken(event(1).id, 1)]
    pipeline = Pipeline({}, {"quick": quick, "unknown": unknown})
    answer = Pending(items, receipt, pipeline, "request", Preferences()).answer()
    assert [result["status"] for result in orjson.loads(answer.body)["results"]] == ["failed", "rejected"]
    assert answer.headers["Retry-After"] in ("1", "2")
    await asyncio.gather(quick.abandon(), unknown.abandon())
