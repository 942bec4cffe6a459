"""The replicas: `penstock serve` each, with ports that stay the same from life to life, all writing into one folder."""

import json
import os
import sys
from collections import Counter
from pathlib import Path
from typing import Final

from bench.program import asked
from bench.rolling.balancer import free_port
from deploy.local.child import Child, leashed
from deploy.local.emulator import isolated

EVENTS: Final = "orders"
"""The route."""


class Replica:
    """One of them, over several lives."""

    def __init__(self, number: int, folder: Path, deregister_delay: str) -> None:
        self.number = number
        self.port, self._admin = free_port(), free_port()
        self._folder = folder
        self._lives = 0
        self._file = folder / f"replica-{number}.yaml"
        self._file.write_text(
            f"server: {{port: {self.port}, deregister_delay: {deregister_delay}}}\n"
            f"admin: {{port: {self._admin}}}\n"
            "logs: {form: json}\n"
            f"sinks: {{kept: {{type: file, path: {folder / 'kept'}}}}}\n"
            f"routes: {{{EVENTS}: {{id: /id, to: [kept]}}}}\n"
        )
        self.child = self._next()

    def _next(self) -> Child:
        self._lives += 1
        command = leashed("service.cli", "serve", "--config", self._file, python=sys.executable)
        log = self._folder / f"replica-{self.number}-{self._lives}.log"
        return Child(f"replica {self.number}", command, log, isolated(os.environ), grace_seconds=40.0)

    def start(self) -> None:
        """Start its next life. Returns once it is ready."""
        if self._lives > 1 or self.child.log.exists():
            self.child = self._next()
        self.child.__enter__()
        self.child.wait_until(self._ready)

    def end(self) -> int:
        """SIGTERM; returns the exit code once it has drained."""
        return self.child.stop()

    def _ready(self) -> bool:
        try:
            asked(f"http://127.0.0.1:{self._admin}/readyz")
        except OSError:
            return False
        return True


def kept(folder: Path) -> Counter[str]:
    """How often each event is in the folder that they write, by its id. They must have ended."""
    found = Counter[str]()
    for file in (folder / "kept").iterdir():
        for line in file.read_bytes().splitlines():
            event = json.loads(line)
            found[event["data"]["id"] if "data" in event else event["id"]] += 1
    return found
