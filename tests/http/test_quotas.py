"""Quotas over real sockets: 429 on both ways the same, what it costs, and that its connection goes on."""

import json
from collections.abc import Mapping

import pytest

from tests.http.claims import assert_problem, assert_retry_after
from tests.http.client import Answer, chunked, head, request
from tests.http.running import Service
from tests.http.test_keys import PEPPER, entry

pytestmark = pytest.mark.asyncio(loop_scope="module")

HOUR = 3600
"""Seconds for which a burst of one a second lasts: no test is so slow that it would see another one."""

FILES = {
    "keys.yaml": "keys:\n"
    + "".join(entry(f"{name}.s-3cret") for name in ("plain", "events", "bytes", "both", "trouble", "full")),
    "pepper": PEPPER,
}

CONFIGURATION = f"""
server: {{memory: 40MiB, request_timeout: 13s, drain_timeout: 1s, auth: {{keys_file: keys.yaml, pepper_file: pepper}}}}
quotas:
  principals:
    "*": {{}}
    events: {{events_per_second: 0.001, burst: 5000s}}
    bytes: {{bytes_per_second: 1, burst: {HOUR}s}}
    trouble: {{events_per_second: 0.001, burst: 3000s, routes: {{orders: {{bytes_per_second: 1, burst: 100000s}}}}}}
    both: {{routes: {{orders: {{events_per_second: 0.001, burst: 2000s}}}}}}
  routes:
    few: {{events_per_second: 0.001, burst: 3000s}}
sinks:
  main: {{type: "tests.http.scripted:Scripted", memory: 256KiB, largest: 128KiB, patience: 12s, call_timeout: 6s}}
routes:
  orders: {{types: [order], to: [main]}}
  few: {{types: [few], to: [main]}}
"""

GOOD = b'{"number":1}'


@pytest.fixture(name="keyed")
def _keyed(shared: Service) -> Service:
    for sink in shared.sinks.values():
        sink.forget()
    return shared


def key(name: str) -> dict[str, str]:
    """The header that carries a principal's key."""
    return {"X-Api-Key": f"{name}.s-3cret"}


def batch(events: int, size: int = 0) -> bytes:
    """A body of so many events and, filled up, so many bytes."""
    plain = json.dumps([{"number": number} for number in range(events)]).encode()
    return plain[:-1] + b" " * (size - len(plain)) + b"]"


def filled(size: int) -> bytes:
    """A body of one event and so many bytes."""
    return b'{"text":"%b"}' % (b"x" * (size - 11))


def assert_over_quota(answer: Answer, quota: str) -> None:
    assert_problem(answer, 429, "over_quota")
    assert_retry_after(answer)
    assert answer.json["quota"] == quota
    assert answer.headers["ratelimit"] == f'"{quota}";r=0;t={answer.headers["retry-after"]}'
    assert answer.headers["ratelimit-policy"].startswith(f'"{quota}";q=')
    assert "connection" not in answer.headers


async def test_quotas_hold_on_one_connection_which_goes_on(keyed: Service) -> None:
    async with await keyed.connect() as connection:
        for body, status in ((batch(2), 200), (batch(4), 429), (batch(3), 200), (GOOD, 429), (GOOD, 429)):
            await connection.send(request("/v1/orders", body, key("events")))
            answer = await connection.answer()
            assert answer.status == status
            if status == 429:
                assert_over_quota(answer, "principal_events")
        # four of them come again in 4,000 s less what has passed, and one in 1,000 s: as many as it had sent
        assert 2990 <= int(answer.headers["retry-after"]) <= 3000
        await connection.send(request("/v1/orders", GOOD, key("plain")))
        assert (await connection.answer()).status == 200
    assert len(keyed.sinks["main"].taken) == 6
    metrics = await keyed.metrics()
    labels: Mapping[str, str] = {"principal": "events", "route": "orders", "quota": "principal_events"}
    assert metrics.total("penstock_quota_refusals_total", **labels) == 3
    assert metrics.total("penstock_events_rejected_total", reason="over_quota") == 4, "of those that were read"


async def test_a_body_beyond_the_quota_is_refused_unread_and_its_connection_goes_on(keyed: Service) -> None:
    async with await keyed.connect() as connection:
        await connection.send(request("/v1/orders", batch(3, 2000), key("bytes")))
        assert (await connection.answer()).status == 200
        whole = request("/v1/orders", batch(3, 2600), key("bytes"))
        for _ in range(2):
            await connection.send(whole[:-2000])
            assert_over_quota(await connection.answer(), "principal_bytes")
            await connection.send(whole[-2000:])
        await connection.send(request("/v1/orders", batch(3, 1500), key("bytes")))
        assert (await connection.answer()).status == 200, "what was not read costs nothing"
    assert (await keyed.metrics()).total("penstock_http_body_bytes") == 0


async def test_a_producer_that_asks_for_leave_is_told_before_its_body(keyed: Service) -> None:
    asking = {"Content-Length": "1000000", "Content-Type": "application/json", "Expect": "100-continue"}
    async with await keyed.connect() as connection:
        # a byte is not there any more, whatever ran before: the bucket owes, or this takes it
        await connection.send(request("/v1/orders", batch(1, 3599), key("bytes")))
        await connection.answer()
        await connection.send(head("POST", "/v1/orders", {**asking, **key("bytes")}))
        answer = await connection.provisional()
        assert answer.status == 429
        assert answer.headers["connection"] == "close"


async def test_a_chunked_body_pays_once_it_is_read(keyed: Service) -> None:
    lines = head(
        "POST", "/v1/few", {"Transfer-Encoding": "chunked", "Content-Type": "application/json", **key("plain")}
    )
    async with await keyed.connect() as connection:
        statuses = []
        for events in (2, 2, 1):
            await connection.send(lines + chunked([batch(events)]))
            statuses.append((await connection.answer()).status)
        assert statuses == [200, 429, 200]
        # of all that send to it, whoever they are
        await connection.send(request("/v1/few", GOOD, key("events")))
        assert_over_quota(await connection.answer(), "route_events")


async def test_events_by_type_pay_for_their_own_routes(keyed: Service) -> None:
    def events(*types: str) -> bytes:
        return json.dumps(
            [{"specversion": "1.0", "id": str(i), "source": "/s", "type": type} for i, type in enumerate(types)]
        ).encode()

    of_batch = "application/cloudevents-batch+json"
    taken = await keyed.post("/v1/events", events("order", "order"), key("both"), of_batch)
    assert taken.status == 200
    over = await keyed.post("/v1/events", events("order"), key("both"), of_batch)
    assert_over_quota(over, "principal_route_events")
    direct = await keyed.post("/v1/orders", GOOD, key("both"))
    assert_over_quota(direct, "principal_route_events")


async def test_what_we_have_no_room_for_costs_nothing(keyed: Service) -> None:
    main = keyed.sinks["main"]
    main.hold()
    async with await keyed.connect() as first, await keyed.connect() as second:
        for connection, name in ((first, "plain"), (second, "full")):
            await connection.send(request("/v1/orders", filled(120_000), key(name)))
        await keyed.until(lambda found: found.total("penstock_lane_events_held", sink="main") == 2)
        for _ in range(3):
            refused = await keyed.post("/v1/orders", filled(50_000), key("trouble"))
            assert_problem(refused, 503, "busy")
        main.deliver()
        assert [(await each.answer()).status for each in (first, second)] == [200, 200]
    assert (await keyed.post("/v1/orders", batch(3), key("trouble"))).status == 200
    assert (await keyed.post("/v1/orders", batch(1), key("trouble"))).status == 429
