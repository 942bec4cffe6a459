"""API keys: who may send to which route; and that a key is never shown to anybody."""

import logging

import pytest

from service.auth.keys import hashed
from service.errors import ConfigError
from tests.http.client import head, request
from tests.http.running import Service, running

pytestmark = pytest.mark.asyncio(loop_scope="module")

SECRET = "alice.3Ypz-a-secret-of-which-only-the-hash-is-kept"
LIMITED = "bob.Qk9-another-one"
PEPPER = "a-pepper-that-lies-somewhere-else"


def entry(key: str, routes: str = "") -> str:
    """The line of the key file for `key`."""
    name = key.partition(".")[0]
    digest = hashed(key, PEPPER.encode())
    return f"  - {{name: {name}, hmac_sha256: {digest}{f', routes: [{routes}]' if routes else ''}}}\n"


FILES = {"keys.yaml": "keys:\n" + entry(SECRET) + entry(LIMITED, "orders"), "pepper": PEPPER}

CONFIGURATION = """
server: {memory: 40MiB, request_timeout: 10s, drain_timeout: 1s, auth: {keys_file: keys.yaml, pepper_file: pepper}}
sinks:
  main: {type: "tests.http.scripted:Scripted", patience: 6s, call_timeout: 3s}
routes:
  orders: {types: [order], to: [main]}
  returns: {types: [return], to: [main]}
"""

GOOD = b'{"number":1}'


def bearer(key: str) -> dict[str, str]:
    """The header that carries `key`."""
    return {"Authorization": f"Bearer {key}"}


def _bears(headers: dict[str, str]) -> bool:
    scheme, _, token = headers.get("Authorization", "").partition(" ")
    return scheme == "Bearer" and bool(token)


@pytest.fixture(name="keyed")
def _keyed(shared: Service) -> Service:
    for sink in shared.sinks.values():
        sink.forget()
    return shared


@pytest.mark.parametrize("headers", [bearer(SECRET), {"Authorization": f"bearer  {SECRET}"}, {"X-Api-Key": SECRET}])
async def test_a_known_key_may_send(keyed: Service, headers: dict[str, str]) -> None:
    assert (await keyed.post("/v1/orders", GOOD, headers)).status == 200


@pytest.mark.parametrize(
    "headers",
    [
        {},
        bearer(""),
        bearer("alice"),
        bearer("alice.wrong"),
        bearer("carol.unknown"),
        bearer(SECRET + "x"),
        {"Authorization": f"Basic {SECRET}"},
        {"X-Api-Key": "alice.\xe9\xff"},
        {"X-Api-Key": hashed(SECRET, PEPPER.encode())},
    ],
)
async def test_401_without_a_known_key(keyed: Service, headers: dict[str, str]) -> None:
    answer = await keyed.post("/v1/orders", GOOD, headers)
    assert (answer.status, answer.code) == (401, "unauthenticated")
    assert answer.headers["content-type"] == "application/problem+json"
    more = ', error="invalid_token"' if "X-Api-Key" in headers or _bears(headers) else ""
    assert answer.headers["www-authenticate"] == 'Bearer realm="penstock"' + more
    assert keyed.sinks["main"].calls == 0


async def test_401_does_not_tell_whether_a_route_exists(keyed: Service) -> None:
    assert (await keyed.post("/v1/nothing", GOOD)).status == 401


async def test_401_is_answered_before_a_body_is_asked_for(keyed: Service) -> None:
    async with await keyed.connect() as connection:
        await connection.send(head("POST", "/v1/orders", {"Content-Length": "10", "Expect": "100-continue"}))
        answer = await connection.provisional()
        assert answer.status == 401
        assert answer.headers["connection"] == "close"


async def test_403_for_another_route_than_the_keys_own(keyed: Service) -> None:
    assert (await keyed.post("/v1/orders", GOOD, bearer(LIMITED))).status == 200
    for route in ("returns", "nothing"):
        answer = await keyed.post(f"/v1/{route}", GOOD, bearer(LIMITED))
        assert (answer.status, answer.code) == (403, "forbidden_route")
    assert len(keyed.sinks["main"].taken) == 1


async def test_events_by_type_are_held_to_the_keys_routes_one_by_one(keyed: Service) -> None:
    batch = b"[%s]" % b",".join(
        b'{"specversion":"1.0","id":"%d","source":"/s","type":"%s"}' % (number, type)
        for number, type in enumerate([b"order", b"return"])
    )
    content_type = "application/cloudevents-batch+json"
    answer = await keyed.post("/v1/events", batch, bearer(LIMITED), content_type)
    assert answer.status == 207
    assert [result["status"] for result in answer.results] == ["delivered", "invalid"]
    assert answer.results[1]["error"]["code"] == "forbidden_route"
    only_forbidden = batch.replace(b'"order"', b'"return"')
    assert (await keyed.post("/v1/events", only_forbidden, bearer(LIMITED), content_type)).status == 403


async def test_health_needs_no_key(keyed: Service) -> None:
    for path in ("/livez", "/readyz"):
        assert (await keyed.raw(head("GET", path, {}), "GET")).status == 200


async def test_no_key_is_shown_in_answers_or_logs(keyed: Service, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    seen = []
    for headers in (bearer(SECRET), bearer(SECRET + "x"), {"X-Api-Key": LIMITED}):
        for path in ("/v1/orders", "/v1/returns", f"/v1/{SECRET[:20]}", "/other"):
            answer = await keyed.post(path, b"not json", headers)
            seen.append(answer.body + repr(answer.headers).encode())
    described = await keyed.raw(head("GET", "/openapi.json", {}), "GET")
    text = b" ".join([*seen, described.body, caplog.text.encode()]).decode()
    assert SECRET not in text
    assert LIMITED not in text
    assert hashed(SECRET, PEPPER.encode()) not in text


@pytest.mark.parametrize(
    "content",
    [
        "",
        "keys: none\n",
        f"keys:\n  - {{name: alice, key: {SECRET}}}\n",
        f"keys:\n  - {SECRET}\n",
        f"{SECRET}\n",
        "keys:\n  - {name: alice, hmac_sha256: 12345}\n",
        f"keys:\n{entry(SECRET)}{entry(SECRET)}",
        f"keys:\n{entry(SECRET, 'nothing')}",
        f"keys: [{{name: a, hmac_sha256: {SECRET}",
    ],
)
async def test_a_key_file_with_a_bad_line_stops_the_start_without_showing_it(content: str) -> None:
    with pytest.raises(ConfigError) as caught:
        async with running(CONFIGURATION, {"keys.yaml": content, "pepper": PEPPER}):
            pass
    assert "keys.yaml" in str(caught.value)
    assert SECRET not in str(caught.value)


async def test_a_rejected_request_leaves_the_connection_usable(keyed: Service) -> None:
    async with await keyed.connect() as connection:
        await connection.send(request("/v1/orders", GOOD))
        assert (await connection.answer()).status == 401
        await connection.send(request("/v1/orders", GOOD, bearer(SECRET)))
        assert (await connection.answer()).status == 200
