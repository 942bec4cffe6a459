"""The stdout sink: forms, terminals, files, and readers that go away in the middle."""

import asyncio
import os
import pty
import tty
from pathlib import Path
from typing import Any

import pytest
import uvloop

from service.outcome import Delivered, Outcome, Reason, Retry
from service.sinks.contract import Batch, ProbeError
from service.sinks.stdout import Stdout
from tests.contract.harness import event


def sink(descriptor: int, **settings: Any) -> Stdout:
    return Stdout("stdout", Stdout.Config(type="stdout", descriptor=descriptor, **settings))


async def write(to: Stdout, *bodies: bytes) -> list[Outcome]:
    return list(await to.write(Batch([event(n, body) for n, body in enumerate(bodies)])))


async def printed(path: Path, *bodies: bytes, **settings: Any) -> bytes:
    with path.open("wb") as file:
        async with sink(file.fileno(), **settings) as out:
            assert {type(o) for o in await write(out, *bodies)} == {Delivered}
    return path.read_bytes()


async def test_the_pretty_form_is_indented_under_route_and_id(tmp_path: Path) -> None:
    assert await printed(tmp_path / "out", b'{"a":[1]}', b"not JSON", form="pretty") == (
        b'orders id-0\n{\n  "a": [\n    1\n  ]\n}\norders id-1\nnot JSON\n'
    )


async def test_control_characters_cannot_break_a_line_or_drive_a_terminal(tmp_path: Path) -> None:
    assert await printed(tmp_path / "out", b'{\n"a":\t1}', b"a\x1b[2Jb\r\nc") == b'{ "a": 1}\na [2Jb  c\n'


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run])
def test_a_regular_file_is_written_to_under_every_event_loop(run: Any, tmp_path: Path) -> None:
    assert run(printed(tmp_path / "out", b"[1]", b"[2]")) == b"[1]\n[2]\n"


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run])
def test_a_terminal_that_stands_still_stops_only_the_write_and_keeps_its_mode(run: Any) -> None:
    async def main() -> None:
        async with sink(terminal) as out, asyncio.timeout(30):
            call = asyncio.ensure_future(write(out, b'"%s"' % (b"x" * 500_000)))
            await _readable(screen)
            assert not call.done()
            assert os.get_blocking(terminal)
            call.cancel()
            await asyncio.wait({call})
            assert call.cancelled()

    screen, terminal = pty.openpty()
    tty.setraw(terminal)
    try:
        run(main())
    finally:
        os.close(screen)
        os.close(terminal)


async def test_what_was_read_whole_is_delivered_though_the_reader_then_went_away() -> None:
    read, descriptor = os.pipe()
    async with sink(descriptor) as out:
        call = asyncio.ensure_future(write(out, b"[0]", b'"%s"' % (b"x" * 200_000), b"[2]"))
        assert await asyncio.to_thread(os.read, read, 4) == b"[0]\n"
        os.close(read)
        first, *rest = await call
        os.close(descriptor)
    assert isinstance(first, Delivered)
    assert [o.reason for o in rest if isinstance(o, Retry)] == [Reason.CONNECTION_LOST] * 2


async def test_a_line_that_was_given_up_in_the_middle_does_not_spoil_the_next() -> None:
    read, descriptor = os.pipe()
    os.set_blocking(read, False)
    async with sink(descriptor) as out:
        call = asyncio.ensure_future(write(out, b'"%s"' % (b"x" * 200_000)))
        await _readable(read)
        call.cancel()
        await asyncio.wait({call})
        torn = os.read(read, 2**20)
        await write(out, b"[1]")
        assert os.read(read, 2**20) == b"\n[1]\n"
    assert not torn.endswith(b"\n")
    os.close(read)
    os.close(descriptor)


async def _readable(read: int) -> None:
    """Return once there is something to read."""
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    loop.add_reader(read, ready.set)
    await ready.wait()
    loop.remove_reader(read)


async def test_a_probe_of_a_closed_descriptor_says_so() -> None:
    read, descriptor = os.pipe()
    os.close(read)
    os.close(descriptor)
    async with sink(descriptor) as out:
        with pytest.raises(ProbeError, match=f"descriptor {descriptor} is not open"):
            await out.probe()
        [outcome] = await write(out, b"[1]")
    assert isinstance(outcome, Retry)
