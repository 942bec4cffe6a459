"""A rolling update under load: each replica is taken away and comes back, and no producer notices."""

import os
from pathlib import Path

import pytest

from bench.rolling.__main__ import run
from bench.rolling.balancer import missing


async def test_no_request_fails_and_no_event_is_lost_while_replicas_are_rolled(tmp_path: Path) -> None:
    if missing():
        assert os.environ.get("PENSTOCK_TEST_HAPROXY") != "real", "PENSTOCK_TEST_HAPROXY is `real`: install haproxy"
        pytest.skip("haproxy is not installed (Debian: apt-get install haproxy)")
    # in mode tcp a producer's connection is the replica's: the harder one
    report = await run(tmp_path, "tcp", 1, deregister_delay="1500ms", every="200ms", rate=100.0)
    assert report.holds, report.text()
