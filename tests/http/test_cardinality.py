"""What producers send becomes no label: ten thousand names that nobody knows, and not one series more."""

import json
from collections.abc import Mapping

import pytest

from tests.http.client import connect, head, request
from tests.http.running import Service

pytestmark = pytest.mark.asyncio(loop_scope="module")

CONFIGURATION = """
server: {memory: 40MiB}
sinks:
  main: {type: "tests.http.scripted:Scripted", memory: 10MiB}
routes:
  orders: {to: [main], key: "header:x-tenant", types: ["com.acme.*"]}
"""

NAMES = 10_000
CLOUDEVENT = "application/cloudevents+json"


def hostile(number: int) -> bytes:
    """One request of a kind that differs with `number`, and whose every name does."""
    name = f"n{number}"
    binary = {"ce-specversion": "1.0", "ce-id": name, "ce-source": f"/{name}"}
    match number % 6:
        case 0:
            return request(f"/v1/{name}", b"{}")
        case 1:
            return request("/v1/orders", b"{}", {"X-Tenant": name})
        case 2:
            return head("GET", f"/{name}?{name}={name}", {})
        case 3:
            event = {"specversion": "1.0", "id": name, "source": name, "type": f"com.{name}", "data": {}}
            return request("/v1/events", json.dumps(event).encode(), content_type=CLOUDEVENT)
        case 4:
            typed = {**binary, "ce-type": f"com.acme.{name}", f"ce-{name}": name}
            return request("/v1/events", b"{}", typed)
        case _:
            return request("/v1/orders", b"{}", {name: name}, content_type=f"application/{name}")


async def series(service: Service) -> Mapping[str, float]:
    """Every series of one scrape, with its value."""
    async with await connect(service.admin) as connection:
        await connection.send(head("GET", "/metrics", {"Connection": "close"}))
        text = (await connection.answer("GET")).body.decode()
    lines = [line.rpartition(" ") for line in text.splitlines() if not line.startswith("#")]
    return {name: float(value) for name, _, value in lines}


async def send(service: Service, numbers: range) -> set[int]:
    """Send them over one connection; the statuses of the answers."""
    statuses = set()
    async with await service.connect() as connection:
        for number in numbers:
            await connection.send(hostile(number))
            statuses.add((await connection.answer("GET" if number % 6 == 2 else "POST")).status)
    return statuses


async def test_ten_thousand_hostile_names_make_no_series(service: Service) -> None:
    assert await send(service, range(60)) == {200, 404, 415}
    before = await series(service)
    assert await send(service, range(60, NAMES)) == {200, 404, 415}
    after = await series(service)
    assert after.keys() == before.keys()
    received = sum(value for name, value in after.items() if name.startswith("penstock_events_received_total"))
    assert received >= NAMES / 6, "the requests were read"
