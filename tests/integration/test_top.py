"""`penstock top` against a running service: once for a script, live in a terminal, and after the service has gone."""

import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

from service.delivery.remedies import REMEDIES
from service.outcome import Reason
from tests.integration.command import COMMAND, Serving, environment, penstock

ROUTES = "routes: {orders: {to: [lake]}}\n"
HANGING = 'sinks: {lake: {type: "tests.integration.hanging_sink:Hanging"}}\n' + ROUTES
FAILING = "sinks: {lake: {type: kafka, brokers: '127.0.0.1:1', topic: t, patience: 4s, call_timeout: 2s}}\n" + ROUTES
TOKEN = {"PENSTOCK__ADMIN__TOKEN": "a token of the admin"}
ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class Terminal:
    """The command in a terminal of its own, 80 columns wide."""

    def __init__(self, *arguments: str, folder: Path) -> None:
        self._ours, theirs = pty.openpty()
        more = {"TERM": "xterm-256color", "COLUMNS": "80", "LINES": "30"}
        self.process = subprocess.Popen(
            [*COMMAND, "top", *arguments], cwd=folder, env=environment(more), stdin=theirs, stdout=theirs, stderr=theirs
        )
        os.close(theirs)
        self.seen = ""

    def until(self, words: str, seconds: float = 30) -> None:
        """Return once it has shown these words since the last time."""
        deadline = time.monotonic() + seconds
        while words not in ESCAPES.sub("", self.seen):
            left = deadline - time.monotonic()
            assert left > 0, f"{words!r} is not in {ESCAPES.sub('', self.seen)[-3000:]}"
            if select.select([self._ours], [], [], left)[0]:
                self.seen += os.read(self._ours, 65536).decode(errors="replace")
        self.seen = ""

    def end(self) -> int:
        """Ctrl-C. Returns the exit code."""
        self.process.send_signal(signal.SIGINT)
        while True:
            try:
                if not os.read(self._ours, 65536):
                    break
            except OSError:  # EIO: nobody has the other end any more
                break
        os.close(self._ours)
        return self.process.wait(30)


def test_once_is_a_plain_table_and_an_exit_code_for_scripts(tmp_path: Path) -> None:
    with Serving("dev", folder=tmp_path, more=TOKEN) as serving:
        done = penstock("top", "--once", "--url", serving.admin, folder=tmp_path)
        assert (done.returncode, "PENSTOCK_ADMIN_TOKEN" in done.stdout) == (2, True)
        with_token = {"PENSTOCK_ADMIN_TOKEN": TOKEN["PENSTOCK__ADMIN__TOKEN"], "COLUMNS": "80"}
        done = penstock("top", "--once", "--url", serving.admin, folder=tmp_path, more=with_token)
        assert done.returncode == 0, done.stdout + done.stderr
        assert done.stderr == ""
        assert "\x1b" not in done.stdout
        assert max(map(len, done.stdout.splitlines())) <= 80
        assert re.search(r"^lane +state", done.stdout, re.MULTILINE)
        serving.process.kill()
        serving.process.wait()
    done = penstock("top", "--once", "--url", serving.admin, folder=tmp_path)
    assert (done.returncode, "no answer" in done.stdout) == (2, True)


def test_live_it_shows_what_happens_says_that_the_service_is_gone_and_ends_with_ctrl_c(tmp_path: Path) -> None:
    (tmp_path / "penstock.yaml").write_text(HANGING)
    with Serving("serve", folder=tmp_path) as serving:
        terminal = Terminal("--url", serving.admin, "--interval", "100ms", folder=tmp_path)
        terminal.until("healthy")
        terminal.until("books balance")
        serving.process.kill()
        serving.process.wait()
        terminal.until("it is asked again")
        assert terminal.end() == 0


def test_a_destination_that_fails_is_degraded_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "penstock.yaml").write_text(FAILING)
    with Serving("serve", folder=tmp_path) as serving:
        assert serving.post("orders", {"number": 1})[0] == 503
        done = penstock("top", "--once", "--url", serving.admin, folder=tmp_path)
        assert done.returncode == 1, done.stdout
        reason = re.search(r"^sink lake failing for \S+: (\w+)", done.stdout, re.MULTILINE)
        assert reason is not None, done.stdout
        assert REMEDIES[Reason(reason[1])] in " ".join(done.stdout.split())


def test_nothing_of_it_is_loaded_by_a_service_nor_by_other_commands() -> None:
    code = "import sys, service.app, service.cli, service.workers.supervisor; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], env=environment(), capture_output=True, text=True, check=True)
    loaded = done.stdout.split()
    assert "service.app" in loaded
    assert [name for name in loaded if name.split(".")[0] == "rich" or name.startswith("service.top.")] == []


def test_an_interval_that_is_none_is_wrong_usage(tmp_path: Path) -> None:
    for interval in ("soon", "1ms"):
        done = penstock("top", "--interval", interval, folder=tmp_path)
        assert done.returncode == 2
        assert "--interval" in done.stderr
