"""Stored events when the service is killed under load: all that was acknowledged arrives, little is sent again."""

from pathlib import Path

import pytest

from bench.crash import kills, stuck


@pytest.mark.timeout(300)
async def test_what_was_acknowledged_arrives_through_ten_kills_and_no_more_is_sent_again_than_was_in_flight(
    tmp_path: Path,
) -> None:
    report = await kills.run(10, seed=7, folder=tmp_path)
    assert report.holds, report.text()


@pytest.mark.timeout(300)
async def test_of_thousands_that_were_delivered_beside_a_stuck_event_none_is_sent_again_after_a_kill(
    tmp_path: Path,
) -> None:
    report = await stuck.run(5000, seed=7, folder=tmp_path)
    assert report.holds, report.text()
