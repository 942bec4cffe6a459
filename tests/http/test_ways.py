"""What only one of the two ways of a request could get wrong: that it is taken, what it holds, what a defect does."""

import asyncio
import gc

import pytest

from service.event import Event
from service.http.exchange import Exchange
from service.sinks.contract import Pace
from tests.http.client import JSON, head, request
from tests.http.running import Service
from tests.http.scripted import Scripted
from tests.http.test_bounds import sipping

CONFIGURATION = """
server: {memory: 40MiB, max_body: 20MiB, body_timeout: 3s, request_timeout: 15s, drain_timeout: 1s}
sinks:
  main: {type: "tests.http.scripted:Scripted", patience: 10s, call_timeout: 5s}  # a look through the heap is slow
  dead: {type: "tests.http.scripted:Scripted", patience: 2s, call_timeout: 400ms}
  defective: {type: "tests.http.test_ways:Defective", patience: 1s, call_timeout: 400ms}
  strict: {type: "tests.http.scripted:Scripted", patience: 1s, call_timeout: 400ms}
  lasting: {type: "tests.http.scripted:Scripted", patience: 1s, call_timeout: 400ms, order: key}
routes:
  orders: {to: [main], dead_letter: {sink: dead, invalid: true}}
  broken: {to: [defective]}
  pages: {to: [main], cors: ["https://shop.example.com"]}
  ordered: {to: [strict], dead_letter: {sink: lasting, invalid: true}}
"""

pytestmark = pytest.mark.asyncio(loop_scope="module")

GOOD = b'{"number":1}'


class Defective(Scripted):
    """A sink with a defect that shows before its lane takes anything."""

    generation = 0
    pace = Pace(0, 0)

    def partition(self, event: Event) -> int:
        """Fails for events that say so."""
        return 1 // (b"boom" not in event.body)

    def cost(self, event: Event) -> int:
        """As a sink with partitions has it."""
        return len(event.body)


def alive() -> list[Exchange]:
    """The requests of the short way that somebody holds on to."""
    gc.collect()
    return [each for each in gc.get_objects() if type(each) is Exchange]


async def test_a_plain_request_takes_the_way_that_is_configured(service: Service, way: str) -> None:
    sink = service.sinks["main"]
    sink.hold()
    sending = asyncio.create_task(service.post("/v1/orders", GOOD))
    await sink.called()
    under_asgi = [task for task in asyncio.all_tasks() if "run_asgi" in str(task.get_coro())]
    exchanges = alive()
    sink.deliver()
    assert (await sending).status == 200
    assert (len(under_asgi), len(exchanges)) == ((0, 1) if way == "short" else (1, 0))


async def test_an_answered_request_is_not_held_by_a_dead_letter_that_hangs(service: Service) -> None:
    service.sinks["dead"].hang()
    async with await service.connect() as connection:
        await connection.send(request("/v1/orders", b"[]", {"Content-Type": "application/x-ndjson"}, content_type=""))
        answer = await connection.answer()
        assert answer.status == 422
        assert "dead_lettered" not in answer.results[0]["error"]
        await connection.send(request("/nothing", b""))
        assert (await connection.answer()).status == 404
    assert not alive()
    service.sinks["dead"].deliver()


async def test_a_defect_is_500_holds_nothing_and_the_service_lives_on(
    service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    async with await service.connect() as connection:
        await connection.send(request("/v1/broken", b'{"x":"boom"}'))
        answer = await connection.answer()
        assert (answer.status, answer.code) == (500, "internal")
        assert (answer.json["retryable"], answer.json["may_duplicate"]) == (True, True)
        assert "ZeroDivisionError" in caplog.text
        (line,) = caplog.records
        assert vars(line)["request_id"] == answer.json["request_id"] == answer.headers["x-request-id"]
        caplog.clear()
    await service.idle()
    assert (await service.post("/v1/broken", GOOD)).status == 200


async def test_an_answer_on_a_route_with_origins_varies_with_them(service: Service) -> None:
    assert (await service.post("/v1/pages", GOOD)).headers["vary"] == "Origin"


async def test_a_body_that_never_has_room_is_413_and_not_busy(service: Service) -> None:
    answer = await service.raw(head("POST", "/v1/orders", {"Content-Type": JSON, "Content-Length": str(17 * 2**20)}))
    assert (answer.status, answer.code) == (413, "body_too_large")
    assert answer.json["limit"] == 15 * 2**20


async def test_a_dead_letter_without_a_key_goes_to_a_sink_that_keeps_the_order_of_keys(service: Service) -> None:
    answer = await service.post("/v1/ordered", b'[1,{"a":1}]')
    assert answer.status == 207
    assert [result["status"] for result in answer.results] == ["invalid", "delivered"]
    assert answer.results[0]["error"]["dead_lettered"] is True
    assert len(service.sinks["lasting"].taken) == 1


async def test_a_long_answer_that_was_read_late_leaves_the_next_its_time(service: Service) -> None:
    sink = service.sinks["main"]
    async with await sipping(service) as connection:
        await connection.send(request("/v1/pages", b"[" + b",".join([b"1"] * 9_000) + b"]"))
        await service.until(lambda metrics: 10**6 < metrics.total("penstock_http_body_bytes") < 2 * 10**6)
        sink.hold()
        await connection.send(request("/v1/orders", GOOD))
        assert (await connection.answer()).status == 422
        await sink.called()
        await asyncio.sleep(3.2)  # longer than an answer that is not read may take
        sink.deliver()
        assert (await connection.answer()).status in (200, 503)


async def test_who_leaves_with_requests_in_line_raises_nothing(
    service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    sink = service.sinks["main"]
    sink.hold()
    connection = await service.connect()
    await connection.send(request("/v1/orders", GOOD, {"Origin": "https://other.example.com"}) * 3)
    await sink.called()
    connection.reset()
    await service.until(lambda metrics: metrics.total("penstock_http_connections_open", port="server") == 0)
    sink.deliver()
    await service.idle()
    assert "Exception" not in caplog.text
