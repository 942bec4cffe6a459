"""The settings of quotas: what is refused, what is hardly meant, and that they are shown as they are."""

from pathlib import Path

from service.config import load
from service.config.reference import effective
from tests.unit.written import SOUND, mistakes, write

QUOTAS = """
quotas:
  principals:
    "*": {events_per_second: 0.5, bytes_per_second: 2MiB}
    importer: {burst: 1m, routes: {orders: {events_per_second: 200}, "*": {events_per_second: 1}}}
    internal: {}
  routes:
    orders: {bytes_per_second: 1MB}
    "*": {events_per_second: 10}
"""


def test_a_quota_for_a_route_that_is_not_there_is_a_mistake(tmp_path: Path) -> None:
    text = SOUND + QUOTAS.replace("orders:", "order:")
    found = mistakes(tmp_path, text)
    beginnings = (
        "quotas.routes.order: there is no route 'order'",
        "quotas.principals.importer.routes.order: there is no",
    )
    assert len(found) == len(beginnings)
    assert all(any(beginning in mistake for mistake in found) for beginning in beginnings)


def test_a_rate_is_more_than_nothing_and_less_than_everything(tmp_path: Path) -> None:
    for wrong in ("events_per_second: 0", "events_per_second: .inf", "bytes_per_second: 0", "burst: 0s", "rate: 5"):
        (found,) = mistakes(tmp_path, SOUND + f"quotas: {{routes: {{orders: {{{wrong}}}}}}}\n")
        assert "quotas.routes.orders" in found


def test_quotas_of_principals_where_nobody_has_a_name_are_hardly_meant(tmp_path: Path) -> None:
    (warning,) = load(write(tmp_path, SOUND + QUOTAS), {}).warnings
    assert warning.startswith("quotas.principals: without server.auth nobody has a name")
    keyed = SOUND + QUOTAS + "server: {auth: {keys_file: keys.yaml, pepper_file: pepper}}\n"
    assert load(write(tmp_path, keyed), {}).warnings == ()


def test_quotas_are_shown_so_that_they_can_be_read_again(tmp_path: Path) -> None:
    config = load(write(tmp_path, SOUND + QUOTAS), {})
    assert "internal" in config.quotas.principals
    assert load(write(tmp_path, effective(config)), {}).quotas == config.quotas
