"""Credentials over real connections: known heads end with them, and a rotation loses no request."""

import asyncio
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from time import time

import pytest
import pytest_asyncio

from service.auth import keyplace
from service.auth.keys import entry_of, hashed
from service.http import heads
from tests.files import rewrite
from tests.http.client import SECONDS, request
from tests.http.running import Service, running
from tests.unit.issuer import Issuer, issuing

pytestmark = pytest.mark.asyncio(loop_scope="module")

PEPPER = "0123456789abcdef0123456789abcdef"
GOOD = b'{"number":1}'

CONFIGURATION = """
server:
  memory: 40MiB
  request_timeout: 10s
  drain_timeout: 1s
  auth:
    keys_file: {folder}/keys.yaml
    pepper_file: {folder}/pepper
    jwt: {{issuer: "{issuer}", audience: penstock, leeway: 0s, routes: [orders]}}
sinks:
  main: {{type: "tests.http.scripted:Scripted", patience: 6s, call_timeout: 3s}}
routes:
  orders: {{to: [main]}}
  returns: {{to: [main], auth: keys}}
  open: {{to: [main], auth: none}}
"""


class World:
    """A service that takes keys and tokens, its issuer, and where its keys are."""

    def __init__(self, service: Service, issuer: Issuer, folder: Path) -> None:
        self.service = service
        self.issuer = issuer
        self.folder = folder

    async def status(self, route: str, **headers: str) -> int:
        return (
            await self.service.post(f"/v1/{route}", GOOD, {k.replace("_", "-"): v for k, v in headers.items()})
        ).status


def keys(*known: str) -> str:
    lines = [entry_of(key.partition(".")[0], hashed(key, PEPPER.encode()), None, None) for key in known]
    return "keys:\n" + "\n".join(lines) + "\n"


@pytest_asyncio.fixture(name="world", loop_scope="module")
async def _world(way: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    del way
    monkeypatch.setattr(keyplace, "POLL_SECONDS", 0.01)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "keys.yaml").write_text(keys("shop.one"))
        (folder / "pepper").write_text(PEPPER)
        async with issuing() as issuer, running(CONFIGURATION.format(folder=folder, issuer=issuer.url)) as service:
            yield World(service, issuer, folder)


async def test_each_kind_opens_its_routes(world: World) -> None:
    token = f"Bearer {world.issuer.token()}"
    assert await world.status("orders", Authorization=token) == 200
    assert await world.status("returns", Authorization=token) == 403
    assert await world.status("open", Authorization=token) == 403
    assert await world.status("orders", X_Api_Key="shop.one") == 200
    assert await world.status("returns", Authorization="Bearer shop.one") == 200
    assert await world.status("open") == 200
    assert await world.status("orders") == 401
    assert await world.status("events") == 401
    metrics = await world.service.metrics()
    assert metrics.total("penstock_auth_refused_total", reason="missing") == 2
    assert metrics.total("penstock_auth_refreshed_timestamp_seconds", what="jwt") > 0


async def test_a_known_head_ends_with_its_token(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    token = world.issuer.token(exp=int(time()) + 5)
    data = request("/v1/orders", GOOD, {"Authorization": f"Bearer {token}"})
    async with await world.service.connect() as connection:
        for _ in range(3):
            await connection.send(data)
            assert (await connection.answer()).status == 200
        later = time() + 10
        for module in (heads, __import__("service.auth.authenticator", fromlist=["time"])):
            monkeypatch.setattr(module, "time", lambda: later)
        monkeypatch.setattr("jwt.api_jwt.datetime", _Later)
        await connection.send(data)
        assert (await connection.answer()).status == 401


class _Later:
    """A clock for the library of tokens: a year from now."""

    @staticmethod
    def now(tz: object = None) -> "_Later":
        del tz
        return _Later()

    def timestamp(self) -> float:
        return time() + 365 * 86_400


async def test_a_revoked_key_is_refused_also_where_its_head_is_known(world: World) -> None:
    old, new = (request("/v1/orders", GOOD, {"X-Api-Key": key}) for key in ("shop.one", "shop.two"))
    async with await world.service.connect() as connection:
        for _ in range(3):
            await connection.send(old)
            assert (await connection.answer()).status == 200
        rewrite(world.folder / "keys.yaml", keys("shop.two"))
        async with asyncio.timeout(SECONDS):
            while await world.status("orders", X_Api_Key="shop.two") != 200:
                await asyncio.sleep(0.01)
        await connection.send(old)
        assert (await connection.answer()).status == 401
        await connection.send(new)
        assert (await connection.answer()).status == 200


async def test_a_rotation_under_load_refuses_nobody(world: World) -> None:
    current = ["shop.one"]
    over = asyncio.Event()
    seen: list[int] = []

    async def produce() -> None:
        async with await world.service.connect() as connection:
            while not over.is_set():
                await connection.send(request("/v1/orders", GOOD, {"X-Api-Key": current[0]}))
                seen.append((await connection.answer()).status)

    producers = [asyncio.create_task(produce()) for _ in range(8)]
    for number in range(2, 6):
        before, after = current[0], f"shop.{number}"
        rewrite(world.folder / "keys.yaml", keys(before, after))
        async with asyncio.timeout(SECONDS):
            while await world.status("orders", X_Api_Key=after) != 200:
                await asyncio.sleep(0.01)
        current[0] = after
        asked = len(seen)
        async with asyncio.timeout(SECONDS):
            while len(seen) < asked + 40:  # the last requests with the key before are answered
                await asyncio.sleep(0.01)
        rewrite(world.folder / "keys.yaml", keys(after))
        async with asyncio.timeout(SECONDS):
            while await world.status("orders", X_Api_Key=before) != 401:
                await asyncio.sleep(0.01)
    over.set()
    await asyncio.gather(*producers)
    assert set(seen) == {200}
