"""Garbage collections of the running service: what start-up made is not looked through, nor most of the rest."""

import gc
from collections.abc import Callable
from pathlib import Path

import pytest

from service import cli, gateway
from service.config import Config
from service.errors import Code, InvalidEvent
from service.http.reading import Refused


async def test_what_start_up_made_is_out_of_collections_at_once_not_two_seconds_into_traffic() -> None:
    before = len(gc.get_objects())
    try:
        gateway.freeze_later()
        assert len(gc.get_objects()) < before / 10
    finally:
        gc.unfreeze()


@pytest.mark.parametrize("command", [cli.serve, cli.dev], ids=["serve", "dev"])
async def test_nothing_is_collected_from_the_command_until_the_ports_are_open(
    command: Callable[[], None], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    collecting: list[bool] = []

    def run(config: Config) -> None:
        collecting.append(gc.isenabled())

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(cli, "_run", run)
    try:
        command()
        assert collecting == [False]
        gateway.freeze_later()
        assert gc.isenabled()
    finally:
        gc.enable()
        gc.unfreeze()


async def test_full_collections_are_rare_once_it_serves() -> None:
    before = gc.get_threshold()
    try:
        gateway.freeze()
        assert gc.get_threshold() == (*before[:2], gateway.FULL_COLLECTION_AFTER)
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()


def test_a_refused_event_is_one_object_for_the_collector() -> None:
    errors = [InvalidEvent(Code.MALFORMED_EVENT, "not JSON", errors=()) for _ in range(100)]
    gc.collect()
    before = len(gc.get_objects())
    errors += [InvalidEvent(Code.MALFORMED_EVENT, "not JSON", errors=()) for _ in range(1000)]
    refused = [Refused(error, None, None) for error in errors]
    assert not any(map(gc.is_tracked, refused))
    gc.collect()
    assert len(gc.get_objects()) - before < 1100
