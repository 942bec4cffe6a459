"""The `penstock` command as a child process, with an environment and a folder of its own."""

import json
import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from ssl import SSLContext
from typing import IO, Any, Self
from urllib.error import HTTPError

from tests.conservation import assert_balanced, samples

ROOT = Path(__file__).parents[2]
ANY_PORT = {"PENSTOCK__SERVER__PORT": "0", "PENSTOCK__ADMIN__PORT": "0"}
AT_ONCE = {"PENSTOCK__SERVER__DEREGISTER_DELAY": "0s"}
COMMAND = [sys.executable, "-m", "service.cli"]


def environment(more: Mapping[str, str] | None = None) -> dict[str, str]:
    """This process's environment without anything that the command would heed, and `more`."""
    ours = ("PENSTOCK", "AWS_", "HTTP_PROXY", "http_proxy", "NO_COLOR", "FORCE_COLOR")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    return kept | {"PYTHONPATH": str(ROOT), "COLUMNS": "100", **(more or {})}


def penstock(
    *arguments: str | Path, folder: Path, input: bytes | None = None, more: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run the command to its end."""
    done = subprocess.run(
        [*COMMAND, *map(str, arguments)],
        cwd=folder,
        input=input if input is not None else b"",
        env=environment(more),
        capture_output=True,
        timeout=60,
        check=False,
    )
    return subprocess.CompletedProcess(done.args, done.returncode, done.stdout.decode(), done.stderr.decode())


class Serving:
    """`penstock serve` or `dev`, from `with` to the end of it; entered once it serves.

    If it runs to the end of the block its books must balance then: one scrape says so.
    """

    def __init__(self, *arguments: str | Path, folder: Path, more: Mapping[str, str] | None = None) -> None:
        self._arguments = [*COMMAND, *map(str, arguments)]
        self._folder = folder
        self._environment = environment(ANY_PORT | AT_ONCE | dict(more or {}))
        self.said: list[str] = []
        """Lines of standard error so far."""
        self.trust: SSLContext | None = None
        """What a client needs whose address begins with https://."""
        self.printed = ""

    def __enter__(self) -> Self:
        self.process = subprocess.Popen(
            self._arguments,
            cwd=self._folder,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        serving = self.until("serving")
        self.url, self.admin = serving["address"], serving["admin"]
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if kind is None and self.process.poll() is None:
                assert_balanced(samples(self.get("/metrics")))
        finally:
            if self.process.poll() is None:
                self.process.kill()
            self.process.communicate()

    @property
    def stdout(self) -> IO[str]:
        """What it prints."""
        assert self.process.stdout is not None
        return self.process.stdout

    def until(self, message: str) -> dict[str, Any]:
        """Read its log up to this message; returns that line's fields. Raises AssertionError if it ends before."""
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.said.append(line.rstrip("\n"))
            if line.startswith("{") and (found := json.loads(line))["message"] == message:
                return dict(found)
        raise AssertionError(f"it ended without {message!r}: {self.said}")

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self.process.send_signal(number)

    def end(self) -> int:
        """Wait for its end. Returns the exit code; the rest of its log is in `said`, of its output in `printed`."""
        self.printed, rest = self.process.communicate(timeout=60)
        self.said += rest.splitlines()
        return self.process.returncode

    def end_well(self) -> None:
        """Wait for its end. Raises AssertionError with what it said unless it has settled everything."""
        code = self.end()
        assert code == 0, f"exit code {code}: {self.said}"

    def post(self, route: str, body: object, key: str | None = None) -> tuple[int, Any]:
        """POST an event. Returns status and answer."""
        headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {key}"} if key else {})
        request = urllib.request.Request(f"{self.url}/v1/{route}", json.dumps(body).encode(), headers)
        opener = self._opener()
        try:
            with opener.open(request, timeout=60) as answer:
                return answer.status, json.load(answer)
        except HTTPError as answer:
            with answer:
                return answer.code, json.load(answer)

    def _opener(self) -> urllib.request.OpenerDirector:
        secure = urllib.request.HTTPSHandler(context=self.trust)
        return urllib.request.build_opener(urllib.request.ProxyHandler({}), secure)

    def get(self, path: str) -> str:
        """The text at a path of the admin port."""
        opener = self._opener()
        with opener.open(self.admin + path, timeout=60) as answer:
            return str(answer.read().decode())
