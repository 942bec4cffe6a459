"""One producer sends all that it can, whatever it is told, to a sink that is slower; a modest one sends beside it.

Four rounds: the modest one alone; beside the greedy one where both have one address, so that nothing tells them apart
and who comes first is served first; with an address each, so that memory is shared and the lane sends in turns; and
with a quota for the greedy one's route too.
"""

import asyncio
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import aiohttp

from bench.scenarios.producers import HEADERS, ROUTE, Producers, line
from bench.scenarios.report import Report
from bench.scenarios.world import World, world
from deploy.local.faultproxy.behaviour import Behaviour

QUEUE = Behaviour(servers=4, delay=0.05)
"""Takes 80 calls a second of ten messages each: 800 events."""
QUOTA = 400.0
"""Events a second, half of that."""
MODEST_PER_SECOND = 10.0
GREEDY_CONNECTIONS = 200
GREEDY_EVENTS = 20
"""In one request."""
PAUSE_SECONDS = 0.1
"""Of the greedy one, after a refusal: without one it would take the CPU of this process, which measures the other."""
WARM_SECONDS = 5.0
"""Until the lane is as full as it gets."""
ONE, OTHER = "192.0.2.1", "192.0.2.2"


def _configuration(quota: bool) -> Mapping[str, Any]:
    found: dict[str, Any] = {
        "server": {"auth": "none", "trusted_proxies": ["127.0.0.1"]},
        "sinks": {"work": {"type": "sqs", "queue": "work", "memory": "2MiB"}},
        "routes": {"modest": {**ROUTE, "to": ["work"]}, "bulk": {**ROUTE, "to": ["work"]}},
    }
    if quota:
        found["quotas"] = {"routes": {"bulk": {"events_per_second": QUOTA, "burst": "1s"}}}
    return found


async def run(seconds: float, folder: Path) -> Report:
    """The four rounds of so long each."""
    report = Report(f"one in a loop on {GREEDY_CONNECTIONS} connections, a modest one beside it; {seconds:g} s each")
    await _round(report, folder, "alone", seconds, None)
    await _round(report, folder, "one address", seconds, ONE)
    refused, late = await _round(report, folder, "an address each", seconds, OTHER)
    report.at_most("an address each: share of the modest one's attempts refused", refused, 0.02)
    report.at_most("an address each: the modest one's requests not delivered", late, 0, "g")
    refused, late = await _round(report, folder, "and a quota", seconds, OTHER, quota=True)
    report.at_most("and a quota: share of the modest one's attempts refused", refused, 0.02)
    report.at_most("and a quota: the modest one's requests not delivered", late, 0, "g")
    return report


async def _round(
    report: Report, folder: Path, name: str, seconds: float, greedy: str | None, quota: bool = False
) -> tuple[float, int]:
    """Tell of a round with this address of the greedy one. The share of the modest one's attempts that were refused,
    and how many of its requests were not delivered."""
    async with world(_configuration(quota), {"work": QUEUE}, folder) as running:
        loop, statuses = asyncio.get_running_loop(), Counter[str]()
        connector = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(connector=connector, headers={"X-Forwarded-For": ONE}) as session:
            producers = Producers(session, running.url)
            await producers.send("modest", [0], loop.time() + WARM_SECONDS)
            async with asyncio.TaskGroup() as group:
                tasks = [
                    group.create_task(_greedy(running, greedy, number, statuses))
                    for number in range(GREEDY_CONNECTIONS if greedy else 0)
                ]
                await asyncio.sleep(WARM_SECONDS)
                producers = Producers(session, running.url)
                statuses.clear()
                cpu, until = running.cpu_seconds(), loop.time() + seconds
                await producers.open_loop("modest", MODEST_PER_SECOND, 1, until, str)
                cpu = running.cpu_seconds() - cpu
                for task in tasks:
                    task.cancel()
    # how long each took is noted beside its attempts
    times, answers = sorted(producers.seconds), producers.statuses
    refused = 1 - answers[200] / max(1, answers.total())
    sent = int(seconds * MODEST_PER_SECOND)
    report.tell(f"{name}: the modest one's requests delivered, of {sent}", str(len(times)))
    report.tell(f"{name}: its answers by status", str(dict(answers)))
    for share in (50, 99):
        if times:
            report.tell(f"{name}: p{share} until it was delivered, s", f"{times[(len(times) - 1) * share // 100]:.3f}")
    report.tell(f"{name}: the greedy one's requests by status, per second", _rates(statuses, seconds))
    report.tell(f"{name}: CPU of the service, cores", f"{cpu / seconds:.2f}")
    return refused, max(0, sent - len(times))


def _rates(statuses: Counter[str], seconds: float) -> str:
    return str({status: round(count / seconds) for status, count in sorted(statuses.items())})


async def _greedy(running: World, address: str | None, number: int, statuses: Counter[str]) -> None:
    """Send until it is cancelled."""
    body = b"\n".join([line(number * 1000 + each, "greedy") for each in range(GREEDY_EVENTS)])
    headers = {**HEADERS, "X-Forwarded-For": address or ""}
    with suppress(aiohttp.ClientError):
        while True:
            async with running.session.post(f"{running.url}/v1/bulk", data=body, headers=headers) as answer:
                await answer.read()
            statuses[str(answer.status)] += 1
            if answer.status != 200:
                await asyncio.sleep(PAUSE_SECONDS)
