"""The admin port: it shows metrics, state and health to those who may see them, and changes nothing."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from service import __version__
from service.admin import app as admin
from service.admin.subject import Process
from service.config.settings import RouteConfig
from service.delivery.entry import Terms
from service.delivery.health import Health, Phase
from service.delivery.lane import Lane
from service.delivery.pipeline import Pipeline
from service.delivery.route import Leg, Route
from service.telemetry.meter import Meter
from tests.flow.scripted import Faults, ScriptedSink, all_settled, event, intake, lane

TOKEN = "a token of the admin"


class Service:
    """One route into one lane before a scripted sink."""

    def __init__(self, kind: type[ScriptedSink] = ScriptedSink) -> None:
        self.meter = Meter()
        self.sink = kind(Faults(seconds=0.0), random.Random(1))
        self.lane: Lane = lane(self.sink, self.meter, "lake", patience="60ms", call_timeout="20ms")
        leg = Leg(self.lane, Terms("orders", required=True, patient=False), "original")
        self.route = Route("orders", (leg,), source="/routes/orders")
        self.pipeline = Pipeline({"orders": self.route}, {"lake": self.lane})
        self.health = Health()
        self.health.lanes = self.pipeline.lanes
        self.health.phase = Phase.SERVING

    async def send(self, count: int) -> None:
        """Put events through the pipeline, and wait until they are settled."""
        events = [event(number, route="orders") for number in range(count)]
        await all_settled(self.pipeline.accept(intake(self.route, events)))

    @asynccontextmanager
    async def client(self, token: str | None = None) -> AsyncIterator[httpx.AsyncClient]:
        """A client of the admin port."""
        routes = {"orders": RouteConfig.model_validate({"types": ["com.example.*"], "to": ["lake"]})}
        app = admin.build(Process(self.pipeline, self.meter, self.health), routes, token)
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1") as client:
            yield client


async def test_a_scrape_is_read_by_prometheus_and_balances() -> None:
    service = Service()
    await service.send(5)
    async with service.client() as client:
        answer = await client.get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=")
    samples = {
        (sample.name, *(f"{label}={value}" for label, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }
    lane_of_route = ("route=orders", "sink=lake")
    assert samples["penstock_lane_events_received_total", *lane_of_route] == 5
    assert samples["penstock_lane_events_settled_total", "outcome=delivered", "reason=", *lane_of_route] == 5
    assert samples["penstock_lane_events_held", *lane_of_route] == 0
    assert samples["penstock_lane_capacity_bytes", "sink=lake"] == 64 * 2**20


async def test_status_tells_what_stands_where_and_why() -> None:
    service = Service()
    await service.send(2)
    service.sink.dead = True
    await service.send(1)
    async with service.client() as client:
        found: dict[str, Any] = (await client.get("/status")).json()
    assert (found["version"], found["phase"]) == (__version__, "serving")
    (trouble,) = found["troubles"]
    assert (trouble["sink"], trouble["state"], trouble["reason"]) == ("lake", "failing", "unavailable")
    assert trouble["do"] == "Wait, and look at the destination's own health."
    assert found["routes"] == {
        "orders": {
            "types": ["com.example.*"],
            "ack": "delivered",
            "to": [{"sink": "lake", "required": True}],
            "dead_letter": None,
        }
    }
    lake = found["lanes"]["lake"]
    assert (lake["state"], lake["last_failure"]) == ("failing", "unavailable")
    assert lake["failed_calls_in_a_row"] >= 1
    assert lake["received"] == 3 == sum(lake["settled"].values()) + lake["held_events"]
    assert lake["settled"] == {"delivered": 2, "expired": 1}


class BilledSink(ScriptedSink):
    """A scripted destination that bills by the event."""

    def bill(self) -> dict[str, int]:
        return {"scripted_units": self.taken.total()}


async def test_what_a_sink_is_billed_for_is_in_metrics_and_status() -> None:
    service = Service(BilledSink)
    await service.send(3)
    async with service.client() as client:
        page = (await client.get("/metrics")).text
        status = (await client.get("/status")).json()
    assert 'penstock_scripted_units_total{sink="lake"} 3.0' in page.splitlines()
    assert status["lanes"]["lake"]["billed"] == {"scripted_units": 3}


async def test_a_sink_without_a_bill_has_none() -> None:
    async with Service().client() as client:
        assert (await client.get("/status")).json()["lanes"]["lake"]["billed"] == {}


async def test_readiness_comes_with_reasons_here() -> None:
    service = Service()
    async with service.client() as client:
        ready = await client.get("/readyz")
        service.sink.dead = True
        await service.send(1)
        degraded = await client.get("/readyz")
        service.health.phase = Phase.DRAINING
        draining = await client.get("/readyz")
        alive = await client.get("/livez")
    assert (ready.status_code, ready.json()) == (200, {"status": "ready"})
    assert degraded.status_code == 200
    (reason,) = degraded.json()["reasons"]
    assert (reason["sink"], reason["state"], reason["reason"]) == ("lake", "failing", "unavailable")
    assert (draining.status_code, draining.json()) == (503, {"status": "draining"})
    assert (alive.status_code, alive.json()) == (200, {"status": "alive"})


@pytest.mark.parametrize("path", ["/metrics", "/status", "/nothing", "/livez/", "/openapi.json", "/docs"])
@pytest.mark.parametrize("given", [None, "Bearer", "Bearer wrong", f"Basic {TOKEN}", TOKEN, f"Bearer {TOKEN}x", "\xff"])
async def test_with_a_token_nothing_but_health_is_shown_without_it(path: str, given: str | None) -> None:
    headers = [(b"Authorization", given.encode("latin-1"))] if given else []
    async with Service().client(TOKEN) as client:
        answer = await client.get(path, headers=headers)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["code"] == "unauthenticated"


@pytest.mark.parametrize("given", [f"Bearer {TOKEN}", f"bearer {TOKEN}"])
async def test_with_its_token_everything_is_shown(given: str) -> None:
    async with Service().client(TOKEN) as client:
        for path in ("/metrics", "/status"):
            assert (await client.get(path, headers={"Authorization": given})).status_code == 200


async def test_health_needs_no_token() -> None:
    async with Service().client(TOKEN) as client:
        answers = await asyncio.gather(client.get("/livez"), client.get("/readyz"))
    assert [answer.status_code for answer in answers] == [200, 200]


@pytest.mark.parametrize("path", ["/", "/nothing", "/openapi.json", "/docs", "/v1/orders", "/status/x"])
async def test_a_path_that_is_not_there_is_a_problem_document(path: str) -> None:
    async with Service().client() as client:
        answer = await client.get(path)
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert (problem["type"], problem["code"]) == ("urn:penstock:error:unknown_path", "unknown_path")
    assert "/metrics" in problem["detail"]


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
@pytest.mark.parametrize("path", ["/metrics", "/status", "/livez", "/readyz"])
async def test_nothing_but_get_is_taken(method: str, path: str) -> None:
    async with Service().client() as client:
        answer = await client.request(method, path)
    assert answer.status_code == 405
    assert answer.headers["allow"] == "GET"
    assert answer.json()["code"] == "method_not_allowed"


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.1:9464", "[::1]:9464", "[::1]", "localhost:9464", "LOCALHOST"])
async def test_without_a_token_whoever_names_this_machine_is_answered(host: str) -> None:
    async with Service().client() as client:
        for path in ("/metrics", "/status", "/livez"):
            assert (await client.get(path, headers={"Host": host})).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "rebound.example.com"},
        {"Host": "rebound.example.com:9464"},
        {"Host": "x/livez?"},
        {"Host": "127.0.0.1:9464", "Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"},
    ],
)
async def test_without_a_token_no_web_page_learns_anything(headers: dict[str, str]) -> None:
    async with Service().client() as client:
        for path in ("/metrics", "/status"):
            refused = await client.get(path, headers=headers)
            assert refused.status_code == 401
            assert "admin.token" in refused.json()["detail"]
        assert (await client.get("/livez", headers={"Host": "rebound.example.com"})).status_code == 200
    async with Service().client("tokentoken") as client:
        given = {"Host": "admin.example.com", "Authorization": "Bearer tokentoken"}
        assert (await client.get("/status", headers=given)).status_code == 200


async def test_a_link_to_the_status_may_be_followed() -> None:
    followed = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
    async with Service().client() as client:
        assert (await client.get("/status", headers=followed)).status_code == 200
