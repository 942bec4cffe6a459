"""Retry-After of an answer: from the lanes that a retry would go to, and no others."""

import asyncio
import random

import orjson

from service.delivery.pipeline import Pipeline
from service.delivery.route import JOURNAL, KEPT
from service.http.answer import PIECE_EVENTS
from service.http.pending import Pending, PendingOne
from service.http.preferences import Preferences
from service.http.reading import Refused, Taken
from service.outcome import Reason
from service.receipt import Fate, Receipt, Settlement
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


async def test_what_could_not_be_stored_is_to_be_sent_again() -> None:
    settlement = Settlement(Fate.EXPIRED, Reason.NOT_STORED, "disk I/O error", may_duplicate=True)
    receipt = Receipt([KEPT])
    receipt.settle(0, JOURNAL, settlement)
    pipeline = Pipeline({}, {})
    one = PendingOne(event(0).id, KEPT, pipeline, "request", Preferences())
    one.settle(0, JOURNAL, settlement)
    for pending in (one, Pending([Taken(event(0).id, 0)], receipt, pipeline, "request", Preferences())):
        answer = pending.answer()
        assert (answer.status, answer.headers["Retry-After"]) == (503, "5")
        (result,) = orjson.loads(answer.body)["results"]
        assert (result["status"], result["retryable"], result["may_duplicate"]) == ("unknown", True, True)
        assert result["error"]["detail"] == "the journal: not_stored: disk I/O error"


def test_an_answer_of_more_than_a_piece_is_long() -> None:
    for count, long in ((PIECE_EVENTS, False), (PIECE_EVENTS + 1, True)):
        items: list[Refused | Taken] = [Taken(event(0).id, 0)] * count
        assert Pending(items, None, Pipeline({}, {}), "request", Preferences()).is_long is long
