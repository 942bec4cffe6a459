"""Log lines about requests: each names its request as the answer does, and none quotes what was sent."""

import json
import logging

import pytest

from service.telemetry.logs import JsonFormatter
from tests.http.running import Service
from tests.http.test_ways import CONFIGURATION as WAYS

CONFIGURATION = WAYS.replace("server:", "logs: {sample_rejected: 1.0}\nserver:", 1)

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_a_refused_event_is_sampled_under_the_id_of_its_answer(
    service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    answer = await service.post("/v1/orders", b'[{"ok":1},"a secret",{"id":"a secret \xff"}]')
    assert answer.status in (207, 422), answer.body
    lines = [json.loads(JsonFormatter().format(record)) for record in caplog.records]
    refused = [line for line in lines if line["message"] == "an event was refused"]
    assert refused
    assert {line["request_id"] for line in refused} == {answer.headers["x-request-id"]}
    assert {line["route"] for line in refused} == {"orders"}
    assert "secret" not in json.dumps(lines)


@pytest.mark.parametrize(("given", "kept"), [("abc-1", True), ("x" * 129, False), ("a b", False), ("\xe9", False)])
async def test_a_producers_own_id_is_kept_if_it_is_short_and_plain(service: Service, given: str, kept: bool) -> None:
    answer = await service.post("/v1/orders", b"[1]", {"X-Request-Id": given})
    assert (answer.headers["x-request-id"] == given) is kept


async def test_a_defect_is_told_without_the_words_of_its_error(
    service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    answer = await service.post("/v1/broken", b'{"x":"boom"}', {"X-Request-Id": "mine"})
    assert answer.status == 500
    (line,) = [json.loads(JsonFormatter().format(record)) for record in caplog.records if record.exc_info]
    assert line["request_id"] == "mine"
    assert "ZeroDivisionError" in line["exception"]
    assert "division by zero" not in line["exception"]
