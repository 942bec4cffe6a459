"""Certificates that change under a running service: nobody notices, and what cannot be used is kept out."""

import asyncio
import logging
import os
from pathlib import Path

import pytest

from tests.certificates import DAY, Authority, Signed
from tests.files import rewrite
from tests.http.client import connect, request
from tests.http.running import Metrics, running
from tests.http.securely import Secured, configuration, secured, serial

ORDER = request("/v1/orders", b'{"number":1}')


@pytest.fixture(autouse=True)
def _look_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.tls.renewal.POLL_SECONDS", 0.01)


def renewals(metrics: Metrics, result: str) -> int:
    """How often the files have changed with this result."""
    return metrics.total("penstock_tls_certificate_renewals_total", port="server", result=result)


async def shown(over_tls: Secured) -> str:
    """The serial number of the certificate that a new connection sees; it is answered."""
    async with await over_tls.connect() as connection:
        await connection.send(ORDER)
        assert (await connection.answer()).status == 200
        return serial(connection)


def mounted(folder: Path, signed: Signed, version: str) -> None:
    """Change the files as Kubernetes does: all at once, by a link to another folder."""
    (folder / version).mkdir()
    signed.write(folder / version, "server")
    (folder / "..new").symlink_to(version)
    os.replace(folder / "..new", folder / "..data")


async def test_a_renewal_in_the_midst_of_traffic_fails_no_request(tmp_path: Path) -> None:
    authority = Authority()
    first, second = authority.server(), authority.server(2 * DAY)
    mounted(tmp_path, first, "..1")
    for name in ("server.pem", "server.key"):
        (tmp_path / name).symlink_to(Path("..data", name))
    text = (
        configuration()
        .replace("server.pem", str(tmp_path / "server.pem"))
        .replace("server.key", str(tmp_path / "server.key"))
    )
    statuses: list[int] = []
    seen: list[str] = []
    done = asyncio.Event()
    async with running(text) as service:
        service.trust = trust = authority.trusting()

        async def stays() -> str:
            async with await connect(service.url, trust) as connection:
                while not done.is_set():
                    await connection.send(ORDER)
                    statuses.append((await connection.answer()).status)
                return serial(connection)

        async def comes() -> None:
            while not done.is_set():
                async with await connect(service.url, trust) as connection:
                    await connection.send(ORDER)
                    statuses.append((await connection.answer()).status)
                    seen.append(serial(connection))

        async with asyncio.TaskGroup() as traffic:
            staying = traffic.create_task(stays())
            traffic.create_task(comes())
            while len(seen) < 5:
                await asyncio.sleep(0.001)
            mounted(tmp_path, second, "..2")
            found = await service.until(lambda metrics: renewals(metrics, "renewed") == 1)
            count = len(seen)
            while len(seen) < count + 5:
                await asyncio.sleep(0.001)
            done.set()
        expiry = found.total("penstock_tls_certificate_expiry_timestamp_seconds", port="server")
    assert set(statuses) == {200}
    assert staying.result() == first.serial
    assert (seen[0], seen[-1]) == (first.serial, second.serial)
    assert sorted(seen, key=[first.serial, second.serial].index) == seen, "the old one is never shown again"
    assert expiry == int(second.certificate.not_valid_after_utc.timestamp())


async def test_a_pair_that_does_not_fit_is_kept_out_and_told_once(caplog: pytest.LogCaptureFixture) -> None:
    async with secured() as over_tls:
        old = await shown(over_tls)
        wrong, right = over_tls.authority.server(), over_tls.authority.server(2 * DAY)
        with caplog.at_level(logging.ERROR):
            rewrite(over_tls.files / "server.key", wrong.key)
            await over_tls.service.until(lambda metrics: renewals(metrics, "failed") == 1)
            assert await shown(over_tls) == old
            (line,) = caplog.records
            assert "does not belong to the certificate" in vars(line)["detail"]
            assert "PRIVATE" not in vars(line)["detail"]
            caplog.clear()
        rewrite(over_tls.files / "server.pem", right.pem)
        await over_tls.service.until(lambda metrics: renewals(metrics, "failed") == 2)
        rewrite(over_tls.files / "server.key", right.key)
        found = await over_tls.service.until(lambda metrics: renewals(metrics, "renewed") == 1)
        assert await shown(over_tls) == right.serial
        assert renewals(found, "failed") == 2


@pytest.mark.parametrize("content", [b"", b"-----BEGIN CERTIFICATE-----\n", None])
async def test_what_is_no_certificate_or_is_gone_changes_nothing(content: bytes | None) -> None:
    async with secured() as over_tls:
        old = await shown(over_tls)
        path = over_tls.files / "server.pem"
        if content is None:
            path.unlink()
        else:
            rewrite(path, content)
        await over_tls.service.until(lambda metrics: renewals(metrics, "failed") == 1)
        assert await shown(over_tls) == old


async def test_a_certificate_that_is_expired_is_kept_out() -> None:
    async with secured() as over_tls:
        old = await shown(over_tls)
        over_tls.authority.server(-DAY / 2).write(over_tls.files, "server")
        await over_tls.service.until(lambda metrics: renewals(metrics, "failed") >= 1)
        assert await shown(over_tls) == old
