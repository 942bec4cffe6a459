"""`python -m bench.rolling`: two replicas behind haproxy are rolled one by one, at half of what the pair can take.

Exit code 1 if a request failed, an event that was answered 200 is not there, or a replica did not drain; 2 without
haproxy.
"""

import argparse
import asyncio
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

import aiohttp
import uvloop

from bench.rolling.balancer import Balancer, Mode, missing
from bench.rolling.producers import BATCH, Producers
from bench.rolling.replicas import Replica, kept
from bench.scenarios.report import Report

CLIENTS = 32
SHARE = 0.5
"""Of what the pair takes, how much is offered: all that one takes."""


async def _roll(replicas: list[Replica], balancer: Balancer, rounds: int) -> list[int]:
    """Roll each replica, one after the other, that often. Returns their exit codes."""
    codes = []
    for _ in range(rounds):
        for replica in replicas:
            codes.append(await asyncio.to_thread(replica.end))
            await asyncio.to_thread(replica.start)
            await asyncio.to_thread(balancer.await_state, replica.number, "UP")
    return codes


async def run(folder: Path, mode: Mode, rounds: int, deregister_delay: str, every: str, rate: float) -> Report:
    """One run. `rate`: requests a second that are offered; 0: half of what the pair takes in closed loop."""
    replicas = [Replica(number, folder, deregister_delay) for number in range(2)]
    with ExitStack() as stack:
        for replica in replicas:
            replica.start()
            stack.callback(replica.end)
        balancer = stack.enter_context(Balancer(mode, [replica.port for replica in replicas], folder, every))
        for replica in replicas:
            balancer.await_state(replica.number, "UP")
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=50)) as session:
            producers = Producers(session, balancer.port)
            pair = 0.0
            if not rate:
                await producers.capacity(CLIENTS, 1.0)
                pair = await producers.capacity(CLIENTS, 3.0)
                producers.seconds.clear()
            stop = asyncio.Event()
            offering = asyncio.create_task(producers.offer(rate or pair * SHARE, stop))
            codes = await _roll(replicas, balancer, rounds)
            stop.set()
            await offering
    report = Report(f"a rolling update of two replicas behind haproxy, mode {mode}")
    _tell(report, producers, pair, rate, codes, folder)
    return report


def _tell(report: Report, producers: Producers, pair: float, rate: float, codes: list[int], folder: Path) -> None:
    there = kept(folder)
    lost = sum(1 for each in producers.acknowledged if each not in there)
    seconds = sorted(producers.seconds)
    report.tell("requests a second that the pair takes", f"{pair:.0f}" if pair else "not measured")
    report.tell(f"requests a second that were offered, of {BATCH} events", f"{rate or pair * SHARE:.0f}")
    report.tell("replicas rolled", str(len(codes)))
    report.tell("requests answered 200 while they were", str(len(seconds)))
    report.at_most("requests that failed", sum(producers.failures.values()), 0, ".0f")
    for what, count in producers.failures.items():
        report.tell(what[:50], str(count))
    report.at_most("events answered 200 that are lost", lost, 0, ".0f")
    report.at_most("events that are there twice", sum(each > 1 for each in there.values()), 0, ".0f")
    report.at_most("replicas that did not end with 0", sum(code != 0 for code in codes), 0, ".0f")
    report.tell("p50 and p99 from when a request was due, ms", f"{_at(seconds, 0.5):.0f} {_at(seconds, 0.99):.0f}")
    report.tell("the longest, ms", f"{_at(seconds, 1.0):.0f}")


def _at(ordered: list[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] * 1000 if ordered else 0.0


def main() -> int:
    """Entry point. Returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m bench.rolling", description=__doc__)
    parser.add_argument("--mode", choices=("http", "tcp"), default="http", help="What haproxy balances.")
    parser.add_argument("--rounds", type=int, default=3, help="How often each replica is rolled.")
    parser.add_argument("--deregister-delay", default="5s", help="server.deregister_delay.")
    parser.add_argument("--every", default="500ms", help="How often haproxy asks for readiness; two failures count.")
    parser.add_argument("--rate", type=float, default=0.0, help="Requests a second; else half of what the pair takes.")
    options = parser.parse_args()
    if missing():
        print("It needs haproxy (Debian: apt-get install haproxy).", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory() as folder:
        report = uvloop.run(
            run(Path(folder), options.mode, options.rounds, options.deregister_delay, options.every, options.rate)
        )
    print(report.text())
    return 0 if report.holds else 1


if __name__ == "__main__":
    sys.exit(main())
