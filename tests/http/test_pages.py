"""What web pages may do (CORS), and whose word is taken for a producer's address."""

import asyncio
import json

import pytest

from tests.http.client import head
from tests.http.running import Service, running

pytestmark = pytest.mark.asyncio(loop_scope="module")

CONFIGURATION = """
server: {memory: 40MiB, request_timeout: 10s, drain_timeout: 1s}
sinks:
  main: {type: "tests.http.scripted:Scripted", patience: 6s, call_timeout: 3s}
  dead: {type: "tests.http.scripted:Scripted", patience: 6s, call_timeout: 3s}
routes:
  orders: {to: [main], cors: ["https://shop.example.com"], dead_letter: dead}
  open: {to: [main], cors: ["*"]}
  closed: {to: [main]}
"""

SHOP = {"Origin": "https://shop.example.com"}
ELSEWHERE = {"Origin": "https://elsewhere.example.com"}
GOOD = b'{"number":1}'


async def test_a_page_on_the_list_may_read_the_answer(service: Service) -> None:
    answer = await service.post("/v1/orders", GOOD, SHOP)
    assert answer.status == 200
    assert answer.headers["access-control-allow-origin"] == "https://shop.example.com"
    assert answer.headers["vary"] == "Origin"
    exposed = answer.headers["access-control-expose-headers"].split(", ")
    assert {"Retry-After", "X-Request-Id", "Preference-Applied"} <= set(exposed)


async def test_a_page_on_the_list_may_read_a_refusal_too(service: Service) -> None:
    answer = await service.post("/v1/orders", b"", SHOP)
    assert answer.status == 400
    assert answer.headers["access-control-allow-origin"] == "https://shop.example.com"


@pytest.mark.parametrize(
    ("route", "headers"), [("orders", ELSEWHERE), ("orders", {}), ("closed", SHOP), ("events", SHOP)]
)
async def test_another_page_may_not(service: Service, route: str, headers: dict[str, str]) -> None:
    answer = await service.post(f"/v1/{route}", GOOD, headers)
    assert "access-control-allow-origin" not in answer.headers


async def test_caches_are_told_that_the_answer_differs_by_origin(service: Service) -> None:
    assert (await service.post("/v1/orders", GOOD, ELSEWHERE)).headers["vary"] == "Origin"


async def test_a_preflight_is_answered_for_pages_on_the_list(service: Service) -> None:
    asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type,idempotency-key"}
    answer = await service.raw(head("OPTIONS", "/v1/orders", {**SHOP, **asked}), "OPTIONS")
    assert answer.status == 204
    assert answer.headers["access-control-allow-origin"] == "https://shop.example.com"
    assert answer.headers["access-control-allow-methods"] == "POST"
    assert answer.headers["access-control-allow-headers"] == "content-type,idempotency-key"
    assert answer.headers["access-control-max-age"].isdigit()


@pytest.mark.parametrize(("route", "headers"), [("orders", ELSEWHERE), ("closed", SHOP), ("events", SHOP)])
async def test_a_preflight_gives_no_leave_to_others(service: Service, route: str, headers: dict[str, str]) -> None:
    asked = {**headers, "Access-Control-Request-Method": "POST"}
    answer = await service.raw(head("OPTIONS", f"/v1/{route}", asked), "OPTIONS")
    assert answer.status == 204
    assert not [name for name in answer.headers if name.startswith("access-control-")]


@pytest.mark.parametrize(("route", "headers"), [("orders", SHOP), ("open", ELSEWHERE)])
async def test_plain_text_is_taken_as_json_from_pages_on_the_list(
    service: Service, route: str, headers: dict[str, str]
) -> None:
    answer = await service.post(f"/v1/{route}", GOOD, headers, "text/plain;charset=UTF-8")
    assert answer.status == 200
    assert service.sinks["main"].taken[0].content_type == "application/json"


@pytest.mark.parametrize(
    ("route", "headers"), [("orders", ELSEWHERE), ("orders", {}), ("closed", SHOP), ("events", SHOP)]
)
async def test_plain_text_is_refused_from_all_others(service: Service, route: str, headers: dict[str, str]) -> None:
    answer = await service.post(f"/v1/{route}", GOOD, headers, "text/plain")
    assert (answer.status, answer.code) == (415, "unsupported_media_type")
    assert service.sinks["main"].calls == 0


async def test_form_types_are_refused_even_from_pages_on_the_list(service: Service) -> None:
    answer = await service.post("/v1/orders", GOOD, SHOP, "application/x-www-form-urlencoded")
    assert answer.status == 415


async def producer(service: Service, headers: dict[str, str]) -> str:
    """The address in the dead letter of an event that is sent with these headers."""
    service.sinks["main"].reject()
    assert (await service.post("/v1/orders", GOOD, headers)).status == 422
    [letter] = service.sinks["dead"].taken
    return str(json.loads(letter.body)["producer"])


async def test_nobody_is_believed_who_is_not_a_trusted_proxy(service: Service) -> None:
    assert await producer(service, {"X-Forwarded-For": "203.0.113.9"}) == "127.0.0.1"


@pytest.mark.parametrize(
    ("forwarded", "address"),
    [
        ("203.0.113.9", "203.0.113.9"),
        ("198.51.100.1, 203.0.113.9, 127.0.0.2", "203.0.113.9"),
        ("203.0.113.9:4711", "203.0.113.9"),
        ("", "127.0.0.1"),
    ],
)
async def test_a_trusted_proxy_is_believed_about_the_nearest_address_it_does_not_trust(
    forwarded: str, address: str
) -> None:
    trusting = CONFIGURATION.replace("server: {", "server: {trusted_proxies: [127.0.0.0/8], ")
    async with running(trusting) as service:
        assert await producer(service, {"X-Forwarded-For": forwarded}) == address


async def test_what_a_proxy_forwards_is_cut_in_the_dead_letter() -> None:
    trusting = CONFIGURATION.replace("server: {", "server: {trusted_proxies: [127.0.0.1], ")
    async with running(trusting) as service, asyncio.timeout(30):
        assert len(await producer(service, {"X-Forwarded-For": "x" * 5000})) <= 128
