"""One replica of the service, a member of the group."""

import json
import os
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import yaml

from deploy.local.books import astray, scraped
from deploy.local.child import Child, leashed
from deploy.local.emulator import isolated

GRACE_SECONDS = 30.0


class Replica:
    """A service in a folder of its own; `lives` one after the other in the same."""

    def __init__(self, folder: Path, configuration: Mapping[str, Any]) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._file = folder / "penstock.yaml"
        self._file.write_text(yaml.safe_dump(dict(configuration)))
        self._lives = 0
        self.astray = 0.0
        """Events that were not accounted for when a life was about to end by itself."""
        self.child: Child | None = None
        self._admin = ""

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self.child is not None:
            self.child.stop()

    def start(self) -> None:
        """Begin a life; returns once it serves."""
        self._lives += 1
        log = self._folder / f"life-{self._lives}.log"
        command = leashed("service.cli", "serve", "--config", self._file)
        self.child = Child("Penstock", command, log, isolated(os.environ), GRACE_SECONDS).__enter__()
        self._admin = self.child.logged("serving")["admin"]

    def kill(self) -> None:
        """SIGKILL."""
        assert self.child is not None
        self.child.kill()
        self.child.stop()

    def stop(self) -> int:
        """SIGTERM, and the exit code. The books of this life must balance before."""
        assert self.child is not None
        self.astray += sum(map(abs, astray(scraped(self._admin)).values()))
        return self.child.stop()

    @property
    def source(self) -> dict[str, Any]:
        """What its source is like now."""
        found: dict[str, Any] = self.get("/status")["sources"]["group"]
        return found

    def get(self, path: str) -> dict[str, Any]:
        """What a page of the admin port says."""
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(self._admin + path, timeout=30) as answer:
            found: dict[str, Any] = json.load(answer)
        return found

    def logged(self, message: str) -> int:
        """How often the present life has logged this."""
        assert self.child is not None
        return self.child.log.read_text("utf-8", errors="replace").count(f'"{message}"')
