"""Client certificates: who gets in, under which name, and that no request is ever taken for another client's."""

import asyncio
import socket
import ssl
from collections.abc import Callable, Collection, Mapping
from datetime import timedelta
from typing import Any

import pytest
from cryptography import x509
from msgspec.structs import replace

from service.auth.principal import Principal
from service.http.admission import Admission
from service.http.head import Head
from service.http.ingest import Ingest
from service.http.reading import Request
from tests.certificates import DAY, Authority, Signed
from tests.files import rewrite
from tests.http.client import Connection, request
from tests.http.securely import CLIENTS, Secured, secured

GOOD = b'{"number":1}'
ORDER = request("/v1/orders", GOOD, {"X-Request-Id": "r-1"})
A_MINUTE_AGO = timedelta(minutes=-1)


async def gets_in(over_tls: Secured, client: Signed | None = None) -> bool:
    """Whether a client with this certificate is answered 200."""
    try:
        async with await over_tls.connect(client) as connection:
            await connection.send(ORDER)
            return (await connection.answer()).status == 200
    except (OSError, asyncio.IncompleteReadError):
        return False


async def failed(over_tls: Secured, count: int) -> None:
    """Assert that so many handshakes have failed for a client's certificate."""
    await over_tls.service.until(
        lambda each: each.total("penstock_tls_handshakes_failed_total", reason="certificate") == count
    )


async def test_required_lets_in_whom_the_authority_has_signed_and_nobody_else() -> None:
    other = Authority("another authority")
    async with secured(CLIENTS % "required") as over_tls:
        ours = over_tls.authority
        assert await gets_in(over_tls, ours.client("shop"))
        assert not await gets_in(over_tls)
        assert not await gets_in(over_tls, other.client("shop"))
        assert not await gets_in(over_tls, ours.client("shop", A_MINUTE_AGO))
        assert not await gets_in(over_tls, ours.server()), "a server's certificate is no client's"
        assert not await gets_in(over_tls, ours.client(x509.Name([]))), "it names nobody"
        await failed(over_tls, 5)


async def test_optional_lets_in_who_has_none_but_not_who_has_a_wrong_one() -> None:
    async with secured(CLIENTS % "optional") as over_tls:
        assert await gets_in(over_tls, over_tls.authority.client("shop"))
        assert await gets_in(over_tls)
        assert not await gets_in(over_tls, Authority("another authority").client("shop"))
        await failed(over_tls, 1)


async def test_none_asks_for_no_certificate(heads: list[str | None]) -> None:
    async with secured() as over_tls:
        assert await gets_in(over_tls, over_tls.authority.client("shop"))
    assert heads == [None]


async def test_an_authority_below_another_may_be_the_one_that_is_trusted() -> None:
    root = Authority("root")
    below, beside = Authority("below", root), Authority("beside", root)
    async with secured(CLIENTS % "required", clients=below) as over_tls:
        assert await gets_in(over_tls, below.client("shop"))
        assert not await gets_in(over_tls, beside.client("shop"))


@pytest.fixture
def heads(monkeypatch: pytest.MonkeyPatch) -> list[str | None]:
    """The subjects for which a head was understood and allowed, in order; heads that were known are not among them.

    They are the principals' names meanwhile.
    """
    subjects: list[str | None] = []
    understood = Admission.head

    def spied(
        self: Admission,
        route: str,
        headers: Mapping[str, str],
        raw: Collection[tuple[bytes, bytes]],
        subject: str | None = None,
    ) -> Head:
        subjects.append(subject)
        return replace(understood(self, route, headers, raw, subject), principal=Principal(subject or "nobody", None))

    monkeypatch.setattr(Admission, "head", spied)
    return subjects


@pytest.fixture
def senders(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Who has sent the events of each request, in order."""
    names: list[str] = []
    for name in ("take", "take_at_once"):
        taken = getattr(Ingest, name)

        def spied(self: Ingest, request: Request, taken: Callable[[Ingest, Request], Any] = taken) -> Any:
            names.append(request.head.principal.name)
            return taken(self, request)

        monkeypatch.setattr(Ingest, name, spied)
    return names


async def test_a_head_that_is_known_of_one_client_is_not_known_of_another(
    way: str, heads: list[str | None], senders: list[str]
) -> None:
    async with secured(CLIENTS % "optional") as over_tls:
        shop, till = over_tls.authority.client("shop"), over_tls.authority.client("till")
        async with (
            await over_tls.connect(shop) as first,
            await over_tls.connect(shop) as second,
            await over_tls.connect(till) as third,
            await over_tls.connect() as nobody,
        ):
            for connection in (first, first, second, second, third, third, nobody, nobody, first, third, nobody):
                await connection.send(ORDER)
                assert (await connection.answer()).status == 200
    names = ["CN=shop"] * 4 + ["CN=till"] * 2 + ["nobody"] * 2 + ["CN=shop", "CN=till", "nobody"]
    assert senders == names
    if way == "short":
        # the first request of a connection is parsed in any case
        assert heads == ["CN=shop", "CN=shop", "CN=till", None]


async def test_no_bytes_of_a_client_without_a_certificate_are_those_of_one_that_has_one(
    heads: list[str | None],
) -> None:
    async with secured(CLIENTS % "optional") as over_tls:
        async with await over_tls.connect(over_tls.authority.client("shop")) as known:
            for _ in range(2):
                await known.send(ORDER)
                assert (await known.answer()).status == 200
            before = heads.count("CN=shop")
            async with await over_tls.connect() as nobody:
                await nobody.send(ORDER)
                assert (await nobody.answer()).status == 200
                for named in (b"CN=shop", b"CN=shop\0"):
                    async with await over_tls.connect() as forger:
                        await forger.send(ORDER)
                        assert (await forger.answer()).status == 200
                        await forger.send(named + ORDER)
                        assert (await forger.answer()).status == 400
        assert heads.count("CN=shop") == before


async def test_a_session_that_is_resumed_has_the_name_of_its_client(heads: list[str | None]) -> None:
    async with secured(CLIENTS % "required") as over_tls:
        trust = over_tls.trust(over_tls.authority.client("shop"))
        port = int(over_tls.service.url.rpartition(":")[2])
        found = await asyncio.to_thread(_twice, port, trust)
    assert found == [(False, b"HTTP/1.1 200"), (True, b"HTTP/1.1 200")]
    assert heads == ["CN=shop", "CN=shop"]


def _twice(port: int, trust: ssl.SSLContext) -> list[tuple[bool, bytes]]:
    """Whether the session of each of two connections was resumed, and what was answered."""
    found, session = [], None
    for _ in range(2):
        with (
            socket.create_connection(("127.0.0.1", port), timeout=10) as stream,
            trust.wrap_socket(stream, server_hostname="127.0.0.1", session=session) as secure,
        ):
            secure.sendall(ORDER)
            answer = secure.recv(65536)
            found.append((bool(secure.session_reused), answer[:12]))
            session = secure.session  # it comes with the first bytes
    return found


async def test_an_authority_that_is_gone_lets_nobody_in_who_had_been_before(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("service.tls.renewal.POLL_SECONDS", 0.01)
    old, new = Authority("old"), Authority("new")
    async with secured(CLIENTS % "required", clients=old) as over_tls:
        shop = old.client("shop")
        trust = over_tls.trust(shop)
        port = int(over_tls.service.url.rpartition(":")[2])
        assert (await asyncio.to_thread(_twice, port, trust))[1][0] is True
        connection: Connection = await over_tls.connect(shop)
        rewrite(over_tls.files / "clients.pem", new.pem)
        await over_tls.service.until(lambda each: each.total("penstock_tls_certificate_renewals_total") == 1)
        assert not await gets_in(over_tls, shop)
        assert await gets_in(over_tls, new.client("shop", DAY))
        await connection.send(ORDER)
        assert (await connection.answer()).status == 200, "connections go on"
        await connection.close()
