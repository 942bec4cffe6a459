"""`penstock top`: a frame fits 80 columns and says all in words; a service that is gone is said to be gone."""

import copy
import io
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from rich.console import Console, RenderableType

from service.top import live
from service.top.asking import Unreachable, status
from service.top.frame import frame, healthy
from service.top.live import DEGRADED, HEALTHY, UNREACHABLE, Frames
from service.top.rates import Rates, rates
from tests.unit.test_status import full, shown

NOW = datetime(2026, 3, 1, 9, 19, tzinfo=UTC)


def text(found: RenderableType, width: int = 80, **settings: Any) -> str:
    stream = io.StringIO()
    Console(file=stream, width=width, **settings).print(found)
    return stream.getvalue()


def well(found: dict[str, Any]) -> dict[str, Any]:
    made = copy.deepcopy(found)
    made["troubles"] = []
    return made


async def test_a_frame_says_what_is_stuck_why_since_when_and_what_to_do() -> None:
    page = text(frame(await shown(full()), None, 0.0, NOW))
    assert "sink lake throttled for 19m\n" in page.replace("  ", "").replace(" \n", "\n")
    assert "Add shards, raise the quota, or spread the key." in page
    assert "journal full for 19m: it has 9 of journal.max_bytes = 9" in page
    assert "worker 1 down for 19m" in page
    assert "source msk failing for 19m: no broker" in page
    assert "books balance" in page
    assert "loop 31ms" in page
    assert "1 of 1 workers serve" in page
    (row,) = [line.split() for line in page.splitlines() if line.startswith("lake ")]
    assert row == ["lake", "throttled", "-", "-", "-", "1", "1.5s", "2/8", "50ms"]
    assert "journal takes nothing  100% of 9B  99B free  5 events wait, oldest 4.0s" in page


async def test_rates_are_the_differences_between_two_looks() -> None:
    before = await shown(full())
    now = copy.deepcopy(before)
    now["lanes"]["lake"]["received"] += 3000
    now["lanes"]["lake"]["settled"]["delivered"] += 2500
    now["lanes"]["lake"]["retried"] += 7
    now["http"]["refused"] += 1
    page = text(frame(now, before, 2.0, NOW))
    rows = {line.split()[0]: line.split() for line in page.splitlines() if line.strip()}
    assert rows["lake"][2:5] == ["1.5k", "1.2k", "3.5"]
    assert rows["http"][2:4] == ["0", "0.5"]


def test_of_counters_that_began_anew_nothing_is_known() -> None:
    now, before = {"received": 5, "settled": {}}, {"received": 9, "settled": {"delivered": 3}}
    assert rates(now, before, 1.0) == Rates()
    assert rates(now, None, 1.0) == Rates()
    assert rates({"received": 9, "settled": {"delivered": 3}}, now, 2.0) == Rates(2.0, 1.5)


async def test_it_fits_in_80_columns_whatever_the_names() -> None:
    found = await shown(full())
    for part in ("lanes", "sources"):
        found[part] = {f"{name}_{'long' * 20}": each for name, each in found[part].items()}
    for lane in found["lanes"].values():
        lane |= {"held_events": 123_456_789, "calls_in_flight": 512, "calls_limit": 512, "oldest_seconds": 0.0031}
        lane["state"] = "throttled"
    page = text(frame(found, found, 1.0, NOW))
    assert max(map(len, page.splitlines())) <= 80
    (row,) = [line for line in page.splitlines() if line.startswith("lake_")]
    assert row.split()[1:] == ["throttled", "0", "0", "0", "123M", "3.1ms", "512/512", "50ms"]


async def test_without_colour_it_says_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    found = await shown(full())
    coloured = text(frame(found, None, 0.0, NOW), force_terminal=True, color_system="standard")
    assert "\x1b[1;31mfailing" in coloured
    monkeypatch.setenv("NO_COLOR", "1")
    plain = text(frame(found, None, 0.0, NOW), force_terminal=True)
    assert "\x1b[1;31m" not in plain
    assert "failing" in plain


async def test_what_brokers_say_moves_no_cursor_and_is_no_markup() -> None:
    found = await shown(full())
    found["troubles"][2]["reason"] = "[bold]no\x1b[2J broker\n\r\x07[/]"
    page = text(frame(found, None, 0.0, NOW), force_terminal=False)
    assert "\x1b" not in page
    assert "\x07" not in page
    assert "[bold]no?[2J broker???[/]" in page


async def test_books_that_do_not_balance_are_shouted() -> None:
    found = full()
    found.meter.lane_held["lake", "orders"] += 1
    status = await shown(found)
    assert "BOOKS DO NOT BALANCE: -1 events, orders -> lake" in text(frame(status, None, 0.0, NOW))
    assert not healthy(well(status))


async def test_a_service_is_healthy_if_it_serves_and_nothing_is_wrong() -> None:
    found = await shown(full())
    assert not healthy(found)
    assert healthy(well(found))
    assert not healthy(well(found) | {"phase": "draining"})


class Script:
    """Answers one after the other."""

    def __init__(self, *answers: Any) -> None:
        self._answers = list(answers)

    def __call__(self) -> dict[str, Any]:
        answer = self._answers.pop(0)
        if isinstance(answer, BaseException):
            raise answer
        return dict(answer)


async def test_a_service_that_is_gone_is_said_to_be_with_what_it_said_last_and_comes_back() -> None:
    found = well(await shown(full()))
    later = copy.deepcopy(found)
    later["lanes"]["lake"]["received"] += 40
    times = iter([0.0, 1.0, 6.0, 10.0, 60.0])
    gone = Unreachable("no answer: refused")
    frames = Frames(Script(found, gone, gone, later, gone), lambda: next(times))
    assert "lake" in text(frames.next())
    assert "no answer: refused (for 0); it is asked again" in text(frames.next())
    page = text(frames.next())
    assert "no answer: refused (for 5.0s)" in page
    assert "lake" in page, "what it said last is still there"
    page = text(frames.next())
    assert "no answer" not in page
    (row,) = [line.split() for line in page.splitlines() if line.startswith("lake ")]
    assert row[2] == "4.0", "over the ten seconds"
    assert "no answer: refused (for 0)" in text(frames.next()), "for as long as it is gone this time"


async def test_after_a_restart_no_rate_is_made_up() -> None:
    found = well(await shown(full()))
    again = copy.deepcopy(found) | {"started": "2026-03-01T10:00:00+00:00"}
    frames = Frames(Script(found, again))
    frames.next()
    (row,) = [line.split() for line in text(frames.next()).splitlines() if line.startswith("lake ")]
    assert row[2:5] == ["-", "-", "-"]


async def test_once_prints_one_frame_and_says_how_it_is_by_its_exit_code() -> None:
    found = await shown(full())
    for answer, code, word in (
        (well(found), HEALTHY, "lake"),
        (found, DEGRADED, "failing"),
        (Unreachable("no answer: refused"), UNREACHABLE, "no answer"),
    ):
        stream = io.StringIO()
        assert live.once(Script(answer), Console(file=stream, color_system=None, width=80)) == code
        assert word in stream.getvalue()
        assert "\x1b" not in stream.getvalue()


@pytest.mark.parametrize(
    "found",
    [
        {"lanes": {}, "troubles": []},
        {"lanes": [1], "troubles": [{"x": 1}], "phase": 1},
        {"lanes": {}, "troubles": [], "phase": "serving", "conservation": []},
        {"lanes": None, "troubles": None},
    ],
)
async def test_what_is_no_status_of_this_version_is_no_answer_rather_than_an_unhealthy_service(found: Any) -> None:
    stream = io.StringIO()
    assert live.once(Script(found), Console(file=stream, color_system=None, width=80)) == UNREACHABLE
    assert "no /status that this version reads" in stream.getvalue()
    good = well(await shown(full()))
    frames = Frames(Script(good, found, good))
    for word in ("lake", "no /status that this version reads", "lake"):
        assert word in text(frames.next())


@pytest.mark.parametrize("wrong", [{"x": 1}, {"sink": "lake"}])
async def test_a_trouble_that_it_does_not_know_ends_no_terminal(wrong: Any) -> None:
    found = await shown(full())
    frames = Frames(Script(found | {"troubles": [wrong]}))
    assert "no /status that this version reads" in text(frames.next())


async def test_where_there_is_no_terminal_frames_come_one_after_the_other() -> None:
    found = well(await shown(full()))
    stream = io.StringIO()
    waited: list[float] = []
    script = Script(found, Unreachable("gone"), found, KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        live.live(script, Console(file=stream, width=80), 0.5, waited.append)
    assert waited == [0.5] * 3
    assert stream.getvalue().count("penstock 0.1.0") == 3


# --- asking


@contextmanager
def answering(code: int, body: bytes, headers: dict[str, str] | None = None) -> Iterator[tuple[str, list[str]]]:
    """An HTTP server, its address, and the credentials it was given."""
    given: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            given.append(f"{self.path} {self.headers.get('Authorization')}")
            self.send_response(code)
            for name, value in (headers or {}).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            return None

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}", given
        finally:
            server.shutdown()
            thread.join()


def test_the_status_is_asked_for_with_the_token_and_past_any_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    with answering(200, b'{"lanes":{},"troubles":[]}') as (url, given):
        assert status(f"{url}/", "a token") == {"lanes": {}, "troubles": []}
    assert given == ["/status Bearer a token"]


@pytest.mark.parametrize(
    ("code", "body", "word"),
    [
        (401, b"", "PENSTOCK_ADMIN_TOKEN"),
        (404, b"", "is that the admin port"),
        (302, b"", "302"),
        (500, b"", "500"),
        (200, b"<html>", "no admin port of Penstock"),
        (200, b"[1]", "no admin port of Penstock"),
        (200, b'{"status":"ready"}', "no admin port of Penstock"),
        (200, b'{"lanes":{}}', "no admin port of Penstock"),
        (200, b'{"troubles":[]}', "no admin port of Penstock"),
        (200, b"[" * 100_000, "no admin port of Penstock"),
    ],
)
def test_an_answer_that_is_no_status_says_what_to_try(code: int, body: bytes, word: str) -> None:
    with answering(code, body, {"Location": "http://127.0.0.1:1/"}) as (url, given):
        with pytest.raises(Unreachable, match=word):
            status(url, None)
        assert len(given) == 1, "a redirect is not followed"


@pytest.mark.parametrize("url", ["ftp://x", "127.0.0.1:9464", "", "http://", "http://127.0.0.1:1", "http://[::1"])
def test_an_address_that_leads_nowhere_is_told(url: str) -> None:
    with pytest.raises(Unreachable):
        status(url, None)


def test_a_token_that_cannot_be_sent_is_not_shown() -> None:
    with pytest.raises(Unreachable) as raised:
        status("http://127.0.0.1:1", "secret\n")
    assert "secret" not in str(raised.value)
