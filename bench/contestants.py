"""Who is measured, and how each is started: ours as in production, the naive service, the ceiling."""

import json
import os
import shutil
import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import assert_never

import yaml
from msgspec import Struct

from bench.bodies import SCHEMA
from bench.program import Stubs
from bench.rows import Row
from deploy.local.child import Child, leashed
from deploy.local.emulator import free_port, isolated


class Side(StrEnum):
    """Closed: the columns of the table."""

    OURS = "ours"
    NAIVE = "naive"
    CEILING = "ceiling"
    """A bare protocol that reads requests and answers them, and does nothing else."""


class Ways(Struct, frozen=True):
    """How our service is switched for this run."""

    environment: Mapping[str, str] = {}
    """Such as PENSTOCK__SINKS__KAFKA__LINGER."""
    flags: Sequence[str] = ()
    """Of `penstock serve`."""


class Contestant(Struct, frozen=True):
    """One that runs."""

    side: Side
    address: str
    """Host and port."""
    session: int
    """Its process id, which is its session's too."""
    requests: Path
    """What is sent to it."""
    admin: str = ""
    """URL of our admin port."""


@contextmanager
def started(side: Side, row: Row, stubs: Stubs, core: int, folder: Path, ways: Ways) -> Iterator[Contestant]:
    """The contestant, bound to `core`, until the block ends. Raises ChildError if it does not start, or ends."""
    requests = folder / f"{side}.requests"
    requests.write_bytes(row.naive() if side is Side.NAIVE else row.ours())
    log = folder / f"{side}.log"
    environment = isolated(os.environ, stubs.endpoint)
    port = free_port()
    match side:
        case Side.OURS:
            file = _configuration(row, stubs, folder)
            command = leashed("service.cli", "serve", "--config", file, *ways.flags)
            environment |= ways.environment
        case Side.NAIVE:
            listening = ("--host", "127.0.0.1", "--port", str(port))
            command = leashed("uvicorn", "bench.naive.app:app", *listening, "--no-access-log", "--log-level", "warning")
            environment |= {"DESTINATIONS": ",".join(row.to), "BROKERS": stubs.bootstrap}
        case Side.CEILING:
            command = leashed("bench.ceiling", str(port))
        case _:
            assert_never(side)
    bound: list[str | Path] = ["taskset", "-c", str(core), *command]
    with Child(side, bound, log, environment) as child:
        address, admin = f"127.0.0.1:{port}", ""
        if side is Side.OURS:
            serving = child.logged("serving")
            address, admin = str(serving["address"]).removeprefix("http://"), str(serving["admin"])
        else:
            child.wait_until(lambda: _listens(port))
        yield Contestant(side, address, child.pid, requests, admin)
        child.check()


def _configuration(row: Row, stubs: Stubs, folder: Path) -> Path:
    """The file of our service."""
    tree = row.configuration(stubs.bootstrap, stubs.endpoint)
    if row.schema:
        (folder / "order.schema.json").write_text(json.dumps(SCHEMA), "utf-8")
        for route in tree["routes"].values():
            route["schema"] = {"type": "jsonschema", "file": "order.schema.json"}
    if row.ack == "stored":
        journal = folder / "journal"
        shutil.rmtree(journal, ignore_errors=True)
        # whatever disk the checkout is on
        tree["journal"] = {"path": str(journal), "volume": "ephemeral", "max_bytes": "40GiB"}
    file = folder / "penstock.yaml"
    file.write_text(yaml.safe_dump(tree), "utf-8")
    return file


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
