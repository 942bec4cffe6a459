"""The event loop that production runs on, and a service that the tests of a file share."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Iterator, Mapping

import pytest
import pytest_asyncio
import uvloop

from tests.certificates import Authority
from tests.http.client import SECONDS, TRUST
from tests.http.running import ENVIRONMENT, Service, running

collect_ignore = (
    ["test_tls.py", "test_client_certificates.py", "test_renewal.py"] if "PENSTOCK_TEST_TLS" in os.environ else []
)
"""They have certificates of their own."""


def pytest_asyncio_loop_factories() -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Every test here runs on uvloop."""
    return {"uvloop": uvloop.new_event_loop}


@pytest.fixture(scope="session", autouse=True)
def over_tls(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """With PENSTOCK_TEST_TLS every test here runs over TLS: what holds of a plain connection holds there too."""
    names = "PENSTOCK__SERVER__TLS__CERTIFICATE", "PENSTOCK__SERVER__TLS__KEY"
    if "PENSTOCK_TEST_TLS" in os.environ:
        authority = Authority()
        paths = authority.server().write(tmp_path_factory.mktemp("tls"), "server")
        ENVIRONMENT.update(zip(names, map(str, paths), strict=True))
        TRUST["any"] = authority.trusting()
    yield
    for name in names:
        ENVIRONMENT.pop(name, None)


@pytest.fixture(scope="module", autouse=True, params=["short", "long"])
def way(request: pytest.FixtureRequest) -> Iterator[str]:
    """Every test here runs twice: with plain requests taken below ASGI, and with all of them through it."""
    ENVIRONMENT["PENSTOCK__SERVER__SHORT_WAY"] = "true" if request.param == "short" else "false"
    yield request.param
    del ENVIRONMENT["PENSTOCK__SERVER__SHORT_WAY"]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(request: pytest.FixtureRequest, way: str) -> AsyncIterator[Service]:
    """The service of the module's `CONFIGURATION` and `FILES`."""
    del way
    async with running(request.module.CONFIGURATION, getattr(request.module, "FILES", {})) as service:
        yield service


@pytest_asyncio.fixture(loop_scope="module")
async def service(shared: Service) -> AsyncIterator[Service]:
    """The shared service. Whatever a test does to it, it answers a good request afterwards, and holds nothing."""
    yield shared
    for sink in shared.sinks.values():
        sink.forget()
    route = next(iter(shared.config.routes))
    async with asyncio.timeout(SECONDS):
        # 503 is right while a lane that failed a moment ago backs off
        while (good := await shared.post(f"/v1/{route}", b'{"number":1}')).status == 503:
            await asyncio.sleep(0.01)
    assert good.status == 200, good
    await shared.idle()
    await shared.until(lambda metrics: metrics.total("penstock_lane_events_held") == 0)
    for sink in shared.sinks.values():
        sink.forget()
