"""An event loop that is really blocked: the watchdog says so and where, probes see it, and it is told afterwards."""

import json
import os
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.conservation import samples, total
from tests.integration.command import Serving
from tests.integration.workers import TWO, status, until

CONFIGURATION = """
sinks: {{lake: {{type: "tests.integration.blocking_sink:Blocking", path: {pipe}}}}}
routes: {{orders: {{to: [lake]}}}}
"""
STUCK = "the event loop is stuck: nothing is answered, nor delivered"


@pytest.fixture
def pipe(tmp_path: Path) -> Path:
    made = tmp_path / "pipe"
    os.mkfifo(made)
    (tmp_path / "penstock.yaml").write_text(CONFIGURATION.format(pipe=made))
    return made


def release(pipe: Path) -> None:
    """Let one write end; waits for one."""
    os.close(os.open(pipe, os.O_WRONLY))


def asked(url: str, seconds: float = 60) -> tuple[int, Any]:
    """Status and answer. Raises OSError if none comes."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=seconds) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as answer:
        with answer:
            return answer.code, json.load(answer)


def test_a_process_that_is_blocked_says_where_and_answers_no_probe_until_it_goes_on(pipe: Path, tmp_path: Path) -> None:
    with Serving("serve", folder=tmp_path) as serving, ThreadPoolExecutor(1) as pool:
        assert asked(f"{serving.url}/readyz") == (200, {"status": "ready"})
        posting = pool.submit(serving.post, "orders", {"number": 1})
        told = serving.until(STUCK)
        assert (told["level"], told["task"]) == ("critical", "lane lake")
        assert told["stuck_seconds"] >= 10
        assert "blocking_sink.py" in told["stack"][0]
        assert told["stack"][0].endswith(" write")
        for probed in (f"{serving.url}/livez", f"{serving.admin}/livez", f"{serving.admin}/readyz"):
            with pytest.raises(OSError, match="timed out"):
                asked(probed, 1)
        release(pipe)
        assert serving.until("the event loop goes on after it was stuck")["stuck_seconds"] >= 10
        posting.result()
        assert asked(f"{serving.admin}/livez") == (200, {"status": "alive"})
        assert asked(f"{serving.url}/readyz") == (503, {"status": "loop_stuck"})
        code, body = asked(f"{serving.admin}/readyz")
        assert (code, body["status"], body["reasons"][0]["state"]) == (503, "loop_stuck", "stuck")
        found = status(serving)
        assert found["loop"]["worst_lag_seconds"] >= 10
        assert found["loop"]["stuck_since"] == body["reasons"][0]["since"]
        page = samples(serving.get("/metrics"))
        assert total(page, "penstock_loop_lag_seconds_bucket", le="+Inf") > total(
            page, "penstock_loop_lag_seconds_bucket", le="5.0"
        )


def test_of_workers_the_supervisor_says_which_is_blocked_and_the_others_go_on(pipe: Path, tmp_path: Path) -> None:
    with Serving("serve", folder=tmp_path, more=TWO) as serving, ThreadPoolExecutor(1) as pool:
        pool.submit(serving.post, "orders", {"number": 1})
        stuck = serving.until(STUCK)["worker"]
        until(lambda: asked(f"{serving.admin}/livez") == (503, {"status": "stuck", "workers": [stuck]}))
        code, body = asked(f"{serving.admin}/readyz")
        assert (code, body["status"]) == (503, "short_of_workers")
        (trouble,) = [each for each in status(serving)["troubles"] if each.get("state") == "stuck"]
        assert trouble["worker"] == stuck
        assert trouble["do"].startswith("Read the log")
        assert trouble["since"].endswith("+00:00")
        release(pipe)
        assert serving.until("the event loop goes on after it was stuck")["worker"] == stuck
        until(lambda: asked(f"{serving.admin}/livez")[0] == 200)
        assert asked(f"{serving.admin}/readyz")[1]["status"] == "loop_stuck", "of that worker, for a while"
