"""`python -m bench.rude`: what a modest producer notices while others are rude, and what memory the service takes.

One service in a process of its own, a producer in open loop (each request has its time, whether the one before is
answered or not), and each attack of `bench.attack` in turn, as one more process. Exit code 1 if the p99 under an attack
is more than twice that just before and after it and above a floor, if one good request is not 200, or if resident
memory grows by more than 1.5 times the budget. On a machine that others use, latencies are theirs too: let several runs
agree.
"""

import argparse
import asyncio
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import quantiles
from typing import Any, Final

from bench import grid
from bench.attack import ATTACKS, request
from bench.program import CACHE
from deploy.local.child import Child, ChildError, leashed
from deploy.local.emulator import isolated

MEMORY_MIB: Final = 128
FLOOR_MS: Final = 10.0
"""A p99 below it is nobody's trouble."""
MOST_RATIO: Final = 2.0
MOST_GROWTH: Final = 1.5
"""Of the budget."""
HEAD: Final = ("while", "p50 ms", "p99 ms", "x alone", "not 200", "MiB more")
_BODY: Final = b'{"number":1,"text":"as a producer sends it, again and again"}'
_SCHEMA: Final = {
    "$ref": "#/$defs/node",
    "$defs": {
        "node": {
            "anyOf": [
                {"type": "number"},
                {"type": "object", "additionalProperties": {"$ref": "#/$defs/node"}},
                {"type": "array", "items": {"$ref": "#/$defs/node"}, "maxItems": 9},
                {"type": "array", "items": {"$ref": "#/$defs/node"}, "minItems": 10},
            ]
        }
    },
}


@dataclass(frozen=True)
class Seen:
    """What the producer saw in one turn."""

    title: str
    milliseconds: Sequence[float]
    failed: int
    """Requests without a 200."""
    grown_mib: float
    """Most of resident memory, beyond what the service took at start."""

    @property
    def p50(self) -> float:
        """In milliseconds."""
        return quantiles(self.milliseconds, n=2)[0]

    @property
    def p99(self) -> float:
        """In milliseconds."""
        return quantiles(self.milliseconds, n=100)[98]


def missed(seen: Seen, alone: float) -> list[str]:
    """Which bounds are missed; `alone`: the p99 without an attack, in milliseconds."""
    found = []
    if seen.p99 > max(FLOOR_MS, MOST_RATIO * alone):
        found.append(f"p99 is {seen.p99 / alone:.1f} times that without")
    if seen.failed:
        found.append(f"{seen.failed} good requests were not 200")
    if seen.grown_mib > MOST_GROWTH * MEMORY_MIB:
        found.append(f"{seen.grown_mib:.0f} MiB of {MEMORY_MIB} were taken")
    return found


def cells(seen: Seen, alone: float) -> list[str]:
    """A row of the table."""
    ratio = f"{seen.p99 / alone:.1f}"
    return [seen.title, f"{seen.p50:.1f}", f"{seen.p99:.1f}", ratio, str(seen.failed), f"{seen.grown_mib:.0f}"]


def configuration(folder: Path) -> dict[str, Any]:
    """Of the service; a schema of alternatives within each other is put beside it."""
    (folder / "tree.json").write_text(json.dumps(_SCHEMA))
    return {
        "server": {"host": "127.0.0.1", "port": 0, "auth": "none", "memory": f"{MEMORY_MIB}MiB"},
        "admin": {"port": 0},
        "sinks": {"nowhere": {"type": "bench.nowhere:Nowhere"}},
        "routes": {
            "orders": {"to": ["nowhere"]},
            "trees": {"to": ["nowhere"], "schema": {"type": "jsonschema", "file": str(folder / "tree.json")}},
        },
    }


def resident(process: int) -> float:
    """MiB of a process in memory (Linux)."""
    return int(Path(f"/proc/{process}/statm").read_text().split()[1]) * 4096 / 2**20


async def produce(title: str, url: str, pid: int, base: float, seconds: float, rate: float, connections: int) -> Seen:
    """A turn: requests at their times, over connections that are kept."""
    loop = asyncio.get_running_loop()
    host, _, port = url.removeprefix("http://").partition(":")
    whole = request(_BODY)
    count, began = int(seconds * rate), loop.time()
    taken: list[float] = []
    failed, most, following = 0, 0.0, 0

    async def send() -> None:
        nonlocal failed, following
        reader, writer = await asyncio.open_connection(host, int(port))
        while following < count:
            due = began + following / rate
            following += 1
            await asyncio.sleep(max(0.0, due - loop.time()))
            writer.write(whole)
            head = await reader.readuntil(b"\r\n\r\n")
            length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
            await reader.readexactly(int(length[15:]))
            taken.append(1000 * (loop.time() - due))
            failed += not head.startswith(b"HTTP/1.1 200 ")
        writer.close()

    async def watch() -> None:
        nonlocal most
        while True:
            most = max(most, resident(pid))
            await asyncio.sleep(0.02)

    watching = asyncio.create_task(watch())
    await asyncio.gather(*(send() for _ in range(connections)))
    watching.cancel()
    return Seen(title, taken, failed, most - base)


def turn(name: str | None, service: Child, url: str, base: float, options: argparse.Namespace) -> Seen:
    """One turn, without an attack (None) or under it."""
    arguments = (options.seconds, options.rate, options.connections)
    if name is None:
        return asyncio.run(produce("nobody is rude", url, service.pid, base, *arguments))
    log = options.folder / f"{name}.log"
    with Child(name, leashed("bench.attack", name, url), log, announces=True) as attack:
        attack.announcement(120.0)
        return asyncio.run(produce(ATTACKS[name].title, url, service.pid, base, *arguments))


def main() -> int:
    """Run the attacks in turn, print the table; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m bench.rude", description=__doc__)
    parser.add_argument("--seconds", type=float, default=8.0, help="of each turn (8)")
    parser.add_argument("--rate", type=float, default=100.0, help="good requests a second (100)")
    parser.add_argument("--connections", type=int, default=16, help="of the producer (16)")
    parser.add_argument(
        "--only", action="append", choices=list(ATTACKS), default=[], help="this attack; may be repeated"
    )
    parser.add_argument("--folder", type=Path, default=CACHE / "rude", help="for configuration and logs")
    options = parser.parse_args()
    options.folder = options.folder.resolve()
    options.folder.mkdir(parents=True, exist_ok=True)
    file = options.folder / "penstock.yaml"
    file.write_text(json.dumps(configuration(options.folder)))
    command = leashed("service.cli", "serve", "--config", file)
    try:
        with Child("service", command, options.folder / "service.log", isolated(os.environ)) as service:
            url = service.logged("serving")["address"]
            base = resident(service.pid)
            calm, seen = [], []
            turn(None, service, url, base, options)  # the first turn warms up
            for name in options.only or list(ATTACKS):
                calm.append(turn(None, service, url, base, options))
                seen.append(turn(name, service, url, base, options))
                print(f"{name}: p99 {calm[-1].p99:.1f} -> {seen[-1].p99:.1f} ms", file=sys.stderr, flush=True)
            calm.append(turn(None, service, url, base, options))
            service.check()
    except ChildError as error:
        print(f"FAILED: {error}", file=sys.stderr)
        return 1
    alone = [max(before.p99, after.p99) for before, after in pairwise(calm)]
    worst = max(calm, key=lambda each: each.p99)
    rows = [cells(worst, worst.p99), *(cells(each, without) for each, without in zip(seen, alone, strict=True))]
    print(grid.text(HEAD, rows))
    wrong = [f"{each.title}: {why}" for each, without in zip(seen, alone, strict=True) for why in missed(each, without)]
    print("\n".join(wrong) or "all within their bounds")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
