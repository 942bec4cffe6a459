"""API keys: what is kept of them, where they are, and that a change is taken up without a restart."""

import asyncio
import logging
import os
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from service import watched
from service.auth import keyplace
from service.auth.authenticator import Authenticator
from service.auth.keys import entry_of, hashed, new_key, read_keys
from service.auth.refusal import Refused, Why
from service.config.auth import Auth
from service.config.settings import RouteConfig
from service.errors import ConfigError
from service.telemetry.meter import Meter
from tests.files import rewrite

ROUTES = {name: RouteConfig.model_validate({"to": ["main"]}) for name in ("orders", "returns")}
PEPPER = "0123456789abcdef0123456789abcdef"
OLDER = "fedcba9876543210fedcba9876543210"
PEPPERS = (PEPPER.encode(),)


def listed(*entries: str) -> str:
    return "keys:\n" + "\n".join(entries) + "\n"


def line(key: str, routes: tuple[str, ...] | None = None, not_after: datetime | None = None) -> str:
    return entry_of(key.partition(".")[0], hashed(key, PEPPERS[0]), routes, not_after)


def why(found: Authenticator, headers: dict[str, str], route: str = "orders") -> Why:
    with pytest.raises(Refused) as caught:
        found.grant(route, headers)
    return caught.value.why


def test_only_a_keyed_hash_is_kept_and_another_pepper_knows_nobody() -> None:
    key, digest = new_key("shop", PEPPERS[0])
    text = listed(entry_of("shop", digest, None, None))
    assert read_keys(text, "k", PEPPERS, ROUTES).grant(key).principal.name == "shop"
    assert key.partition(".")[2] not in text
    with pytest.raises(Refused):
        read_keys(text, "k", (OLDER.encode(),), ROUTES).grant(key)
    assert read_keys(text, "k", (OLDER.encode(), *PEPPERS), ROUTES).grant(key).principal.name == "shop"


def test_several_keys_of_one_name_are_good_side_by_side() -> None:
    found = read_keys(listed(line("shop.one"), line("shop.two")), "k", PEPPERS, ROUTES)
    assert found.grant("shop.one").principal == found.grant("shop.two").principal
    for other in ("shop.three", "shop", "other.one", "", ".", "shop.one ", "Shop.one"):
        with pytest.raises(Refused):
            found.grant(other)


def test_a_key_is_good_until_it_ends() -> None:
    now = datetime.now(UTC)
    text = listed(line("shop.old", None, now - timedelta(seconds=1)), line("shop.new", None, now + timedelta(days=1)))
    found = read_keys(text, "k", PEPPERS, ROUTES)
    assert found.grant("shop.new").until == pytest.approx((now + timedelta(days=1)).timestamp(), abs=1)
    with pytest.raises(Refused, match="has ended") as caught:
        found.grant("shop.old")
    assert caught.value.why is Why.EXPIRED


@pytest.mark.parametrize(
    ("entries", "words"),
    [
        ((line("a.1"), line("a.1")), "stands there twice"),
        ((line("a.1", ("orders",)), line("a.2")), "the same routes"),
        ((line("a.1", ("nothing",)),), "no route 'nothing'"),
        ((line("a.1", ()), '  - {name: a, routes: [], hmac_sha256: "' + "0" * 64 + '"}'), "the same routes"),
        (('  - {name: a, not_after: 2026-11-31, hmac_sha256: "' + "0" * 64 + '"}',), "is no list of keys"),
        (("  - !!timestamp soon",), "is no list of keys"),
        (('  - {name: a, hmac_sha256: "0", routes: [orders]}',), "is no list of keys"),
        (('  - {name: "a b", hmac_sha256: "' + "0" * 64 + '"}',), "is no list of keys"),
        (('  - {name: a, hmac_sha256: "' + "0" * 64 + '", not_after: 2027-01-01T00:00:00}',), "is no list of keys"),
        (("  - " + "[" * 3000,), "is no list of keys"),
    ],
)
def test_a_list_with_a_mistake_is_refused_whole(entries: tuple[str, ...], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        read_keys(listed(*entries), "k", PEPPERS, ROUTES)


@pytest.mark.parametrize("name", ["on", "null", "123", "1_0", "0x1F", "12e03"])
def test_a_name_that_yaml_takes_for_something_else_can_be_read(name: str) -> None:
    routes = ["off", "orders"]
    text = listed(entry_of(name, hashed(f"{name}.secret", PEPPERS[0]), routes, None))
    assert read_keys(text, "k", PEPPERS, routes).grant(f"{name}.secret").principal.routes == frozenset(routes)


def test_what_a_command_prints_can_be_read() -> None:
    ends = datetime(2030, 5, 6, 7, 8, 9, tzinfo=UTC)
    (entry,) = yaml.safe_load(listed(entry_of("shop", "0" * 64, ["orders", "returns"], ends)))["keys"]
    assert entry["routes"] == ["orders", "returns"]
    assert entry["not_after"] == "2030-05-06T07:08:09+00:00"


# what is taken where


def test_a_route_takes_the_kinds_that_it_names_and_an_open_one_takes_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("K", listed(line("shop.one")))
    monkeypatch.setenv("P", PEPPER)
    there = {
        "keyed": RouteConfig.model_validate({"to": ["main"], "auth": "keys"}),
        "certified": RouteConfig.model_validate({"to": ["main"], "auth": ["certificates"]}),
        "open": RouteConfig.model_validate({"to": ["main"], "auth": "none"}),
        "any": RouteConfig.model_validate({"to": ["main"]}),
    }
    certificates = [{"subject": "CN=loader", "name": "loader", "routes": ["certified", "keyed"]}]
    auth = Auth.model_validate({"keys_variable": "K", "pepper_variable": "P", "certificates": certificates})
    found = Authenticator(auth, there)
    assert found.grant("any", {"x-api-key": "shop.one"}).principal.routes == frozenset({"keyed", "open", "any"})
    assert found.grant("any", {}, "CN=loader").principal.routes == frozenset({"certified"})
    assert found.grant("open", {}).principal.routes == frozenset({"open"})
    assert found.grant("open", {}, "CN=other").principal.routes == frozenset({"open"})
    assert why(found, {}, "any") is Why.MISSING
    assert why(found, {}, "events") is Why.MISSING
    assert found.grant("any", {"x-api-key": "shop.one\t "}).principal.name == "shop"  # blanks are no part of a value
    assert why(found, {"x-api-key": "shop.two"}, "open") is Why.UNKNOWN_KEY
    assert why(found, {"authorization": "Bearer a.b.c"}, "open") is Why.NOT_TAKEN
    with pytest.raises(Refused) as caught:
        found.grant("any", {}, "CN=other")
    assert caught.value.why is Why.UNKNOWN_CERTIFICATE


def test_without_auth_everybody_is_anybody() -> None:
    for auth in (None, Auth()):
        grant = Authenticator(auth, ROUTES).grant("orders", {"authorization": "Bearer x"})
        assert (grant.principal.name, grant.principal.routes) == ("", None)


# places


@pytest.fixture(name="quick")
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watched, "POLL_SECONDS", 0.01)
    monkeypatch.setattr(keyplace, "POLL_SECONDS", 0.01)


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not holds():
            await asyncio.sleep(0.01)


def known(found: Authenticator, key: str) -> bool:
    try:
        found.grant("orders", {"x-api-key": key})
    except Refused:
        return False
    return True


@pytest.mark.usefixtures("quick")
async def test_a_file_is_read_again_and_a_bad_version_keeps_the_old_keys(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    file, pepper = tmp_path / "keys.yaml", tmp_path / "pepper"
    file.write_text(listed(line("shop.one")))
    pepper.write_text(PEPPER)
    meter, forgotten = Meter(), list[int]()
    async with Authenticator(Auth(keys_file=file, pepper_file=pepper), ROUTES, meter=meter) as found:
        found.on_change(lambda: forgotten.append(1))
        rewrite(file, listed(line("shop.one"), line("shop.two")))
        await until(lambda: known(found, "shop.two"))
        assert known(found, "shop.one")
        assert len(forgotten) == 1
        rewrite(file, "keys: [shop.three-in-clear")
        await until(lambda: meter.auth_refresh_failures["keys"] == 1)
        assert known(found, "shop.two")
        rewrite(file, listed(line("shop.three"), "  - {name: a, not_after: 2026-11-31}"))
        await until(lambda: meter.auth_refresh_failures["keys"] == 2)
        file.unlink()
        await until(lambda: meter.auth_refresh_failures["keys"] == 3)
        os.mkfifo(file)  # nobody writes to it
        await until(lambda: meter.auth_refresh_failures["keys"] == 4)
        file.unlink()
        assert known(found, "shop.two")
        rewrite(file, listed(line("shop.two")))
        await until(lambda: not known(found, "shop.one"))
        rewrite(pepper, f"{OLDER}\n")
        await until(lambda: not known(found, "shop.two"))
        rewrite(pepper, f"{OLDER}\n{PEPPER}\n")
        await until(lambda: known(found, "shop.two"))
    assert "the old ones are kept" in caplog.text
    for secret in ("shop.three", PEPPER, OLDER, hashed("shop.one", PEPPERS[0])):
        assert secret not in caplog.text


@pytest.mark.usefixtures("quick")
async def test_a_list_that_is_read_again_holds_nobody_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, pepper = tmp_path / "keys.yaml", tmp_path / "pepper"
    file.write_text(listed(line("shop.one")))
    pepper.write_text(PEPPER)
    threads = list[int]()

    def reading(*given: Any) -> Any:
        threads.append(threading.get_ident())
        return read_keys(*given)

    async with Authenticator(Auth(keys_file=file, pepper_file=pepper), ROUTES) as found:
        monkeypatch.setattr(keyplace, "read_keys", reading)
        rewrite(file, listed(line("shop.two")))
        await until(lambda: known(found, "shop.two"))
    assert threads
    assert threading.get_ident() not in threads


def test_no_more_is_read_of_a_file_than_a_list_may_have(tmp_path: Path) -> None:
    (tmp_path / "pepper").write_text(PEPPER)
    with (tmp_path / "keys.yaml").open("wb") as file:
        file.truncate(2**40)  # nothing in it, but no memory holds so much
    with pytest.raises(ConfigError, match="has more than"):
        Authenticator(Auth(keys_file=tmp_path / "keys.yaml", pepper_file=tmp_path / "pepper"), ROUTES)


@pytest.mark.usefixtures("quick")
async def test_a_link_that_points_elsewhere_is_seen(tmp_path: Path) -> None:
    """As Kubernetes changes the files of a mounted secret."""
    (tmp_path / "pepper").write_text(PEPPER)
    for version, key in (("v1", "shop.one"), ("v2", "shop.two")):
        (tmp_path / version).mkdir()
        (tmp_path / version / "keys.yaml").write_text(listed(line(key)))
    os.symlink("v1", tmp_path / "..data")
    os.symlink("..data/keys.yaml", tmp_path / "keys.yaml")
    auth = Auth(keys_file=tmp_path / "keys.yaml", pepper_file=tmp_path / "pepper")
    async with Authenticator(auth, ROUTES) as found:
        assert known(found, "shop.one")
        os.symlink("v2", tmp_path / "..next")
        os.replace(tmp_path / "..next", tmp_path / "..data")
        await until(lambda: known(found, "shop.two"))
        assert not known(found, "shop.one")


@pytest.mark.parametrize("pepper", ["", "short", PEPPER + "\nshort"])
def test_a_pepper_that_is_none_stops_the_start(monkeypatch: pytest.MonkeyPatch, pepper: str) -> None:
    monkeypatch.setenv("K", listed(line("shop.one")))
    monkeypatch.setenv("P", pepper)
    with pytest.raises(ConfigError, match="pepper_variable") as caught:
        Authenticator(Auth(keys_variable="K", pepper_variable="P"), ROUTES)
    assert "short" not in str(caught.value)


@pytest.mark.parametrize(
    "settings",
    [
        {"keys_variable": "K"},
        {"pepper_variable": "P"},
        {"keys_variable": "K", "keys_secret": "s", "pepper_variable": "P"},
        {"keys_variable": "K", "pepper_variable": "P", "pepper_file": "p"},
        {"certificates": [{"subject": "CN=a", "name": "a"}, {"subject": "CN=a", "name": "b"}]},
        {"certificates": [{"subject": "CN=a", "name": "a"}, {"subject": "CN=b", "name": "a"}]},
    ],
)
def test_settings_that_contradict_each_other_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="Auth"):
        Auth.model_validate(settings)
