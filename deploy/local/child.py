"""A child process of the local stack: its output goes to a log, and it does not outlive whoever started it."""

import json
import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

ROOT = Path(__file__).parents[2]
LEASH = Path(__file__).with_name("leash.py")


class ChildError(Exception):
    """A child did not start or ended by itself. The message names its log."""


class Child:
    """One child process, from `with` to the end of it.

    The command must end on SIGTERM, and when its stdin closes: Python modules do so under `leashed`.
    Stdin is a pipe of which only this process holds the other end, so that a killed starter leaves no orphan.
    It starts in the checkout's folder, in a session of its own: a Ctrl-C of the terminal reaches only the starter,
    which stops it in its turn.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str | Path],
        log: Path,
        environment: Mapping[str, str] | None = None,
        grace_seconds: float = 10.0,
        announces: bool = False,
    ) -> None:
        """With `announces`, its stdout is for `announcement`; else stdout and stderr both go to the log."""
        self.name = name
        self.log = log
        self._announces = announces
        self._command = [str(word) for word in command]
        self._environment = dict(environment) if environment is not None else None
        self._grace = grace_seconds
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE if self._announces else log,
                stderr=log,
                env=self._environment,
                cwd=ROOT,
                start_new_session=True,
            )
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def process(self) -> subprocess.Popen[bytes]:
        """The running process. Only inside `with`."""
        assert self._process is not None, f"{self.name} has not been started"
        return self._process

    @property
    def pid(self) -> int:
        """Its process id."""
        return self.process.pid

    def announcement(self, timeout_seconds: float = 30.0) -> dict[str, Any]:
        """The one line of JSON that it prints once it is ready. Raises ChildError if it ends before, or too late."""
        stdout = self.process.stdout
        assert stdout is not None, f"{self.name} announces nothing"
        deadline = time.monotonic() + timeout_seconds
        line = b""
        with selectors.DefaultSelector() as selector:
            selector.register(stdout, selectors.EVENT_READ)
            while not line.endswith(b"\n"):
                if not selector.select(max(0.0, deadline - time.monotonic())):
                    raise self._failed(f"was not ready after {timeout_seconds:g} s")
                byte = os.read(stdout.fileno(), 1)
                if not byte:
                    self._wait(self._grace)
                    raise self._failed("ended before it was ready")
                line += byte
        announced: dict[str, Any] = json.loads(line)
        return announced

    def wait_until(self, ready: Callable[[], bool], timeout_seconds: float = 30.0, every_seconds: float = 0.05) -> None:
        """Return once `ready()`, asked every so often. Raises ChildError if the child ends before, or it takes too
        long."""
        deadline = time.monotonic() + timeout_seconds
        while not ready():
            self.check()
            if time.monotonic() > deadline:
                raise self._failed(f"was not ready after {timeout_seconds:g} s")
            time.sleep(every_seconds)

    def logged(self, message: str, every_seconds: float = 0.05) -> dict[str, Any]:
        """The fields of the first line of its log, in JSON, that has this `message`; waits for it as `wait_until`."""
        found: list[dict[str, Any]] = []

        def read() -> bool:
            lines = self.log.read_text("utf-8", errors="replace").split("\n")[:-1]
            found.extend(json.loads(line) for line in lines if line.startswith("{") and f'"{message}"' in line)
            return any(each.get("message") == message for each in found)

        self.wait_until(read, every_seconds=every_seconds)
        return next(each for each in found if each.get("message") == message)

    def check(self) -> None:
        """Raise ChildError if it has ended by itself."""
        if self.process.poll() is not None:
            raise self._failed("ended by itself")

    def stop(self) -> int:
        """End it: SIGTERM, then SIGKILL when its grace is over. Returns the exit code; at once if it has ended."""
        process = self.process
        if process.poll() is None:
            process.terminate()
            if not self._wait(self._grace):
                self.kill()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()
        return process.wait()

    def kill(self) -> None:
        """End it at once."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)

    def _wait(self, seconds: float) -> bool:
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    def _failed(self, what: str) -> ChildError:
        code = self.process.poll()
        status = f" (exit code {code})" if code is not None else ""
        lines = self.log.read_text(errors="replace").strip().splitlines()[-5:]
        said = "".join(f"\n  | {line}" for line in lines)
        return ChildError(f"{self.name} {what}{status}; its log is {self.log}{said}")


def leashed(module: str, *arguments: str | Path, python: str | Path = sys.executable) -> list[str | Path]:
    """The command of `python -m module arguments` that ends when its stdin closes."""
    return [python, LEASH, module, *arguments]
