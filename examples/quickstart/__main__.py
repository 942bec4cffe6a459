"""`make run`: starts the local stack, replays flights through the gateway, and counts them at every destination."""

import argparse
import asyncio
import itertools
import os
import signal
import sys
from collections.abc import Coroutine, Iterator
from typing import Any, NoReturn

import aiohttp
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from deploy.local.books import astray, scraped
from deploy.local.child import ChildError
from deploy.local.emulator import LAB, isolated
from examples.quickstart import dataset, flights, report
from examples.quickstart.ledger import Ledger
from examples.quickstart.produce import Production
from examples.quickstart.readback import IDLE_SECONDS, ReadBack
from examples.quickstart.replay import Replay, ReplayError
from examples.quickstart.resources import Clients, create
from examples.quickstart.stack import PortTakenError, Stack, demand_free

READ_BACK_SECONDS = 30.0
QUIET_SECONDS = 1.0
_EXPLAINED = (ChildError, PortTakenError, ReplayError, dataset.DatasetError, aiohttp.ClientError)


def main() -> int:
    """Exit code: 0 if all that was sent is where its answer says, 130 if interrupted before that is known, else 1."""
    options, console = _options(), Console()
    clean = isolated(os.environ)  # an AWS_PROFILE of the user's must not even be looked for
    os.environ.clear()
    os.environ.update(clean)
    try:
        return asyncio.run(Quickstart(options, console).run())
    except* _EXPLAINED as errors:
        console.print(f"Failed. {_first(errors)}", style="red", markup=False, highlight=False, soft_wrap=True)
    return 1


class Quickstart:
    """One run, from the first process started to the last one stopped."""

    def __init__(self, options: argparse.Namespace, console: Console) -> None:
        self._options = options
        self._console = console
        self._ledger = Ledger()
        self._stack = Stack(options.port, options.admin_port)
        self._interrupted = False
        self._shown = False

    async def run(self) -> int:
        """The exit code, once everything has stopped."""
        task, loop = asyncio.current_task(), asyncio.get_running_loop()
        assert task is not None
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._interrupt, task)
        try:
            return await self._run()
        except asyncio.CancelledError:
            return 0 if self._shown else 130
        finally:
            await asyncio.to_thread(self._stack.close)

    def _interrupt(self, task: asyncio.Task[int]) -> None:
        """Stop in good order; at once when asked a second time."""
        if self._interrupted:
            self._stack.kill()
            os._exit(130)
        self._interrupted = True
        self._console.print("Stopping.")
        task.cancel()

    async def _run(self) -> int:
        options, stack = self._options, self._stack
        demand_free(options.port, "PORT")
        demand_free(options.admin_port, "ADMIN_PORT")
        rows: Iterator[list[str]] = iter(())
        with self._console.status("") as status:
            if options.replay:
                status.update("Fetching the flights (once)")
                rows = dataset.rows(await asyncio.to_thread(dataset.fetch, LAB / "data"))
            status.update("Starting the AWS emulator and a Kafka broker")
            await asyncio.to_thread(stack.start_emulator)
            await asyncio.to_thread(stack.start_broker, options.kafka)
        async with Clients(stack.endpoint) as aws:
            urls = await create(aws)
            await asyncio.to_thread(stack.start_gateway)
            self._console.print(
                f"AWS emulator  {stack.endpoint}\nKafka         {stack.brokers}\n"
                f"Penstock      http://127.0.0.1:{options.port}\n"
                f"Console       http://127.0.0.1:{options.admin_port}/console",
                highlight=False,
                soft_wrap=True,
            )
            readback = ReadBack(aws, urls, stack.brokers, self._ledger)
            return await self._beside(readback, self._play(rows))

    async def _beside(self, readback: ReadBack, work: Coroutine[Any, Any, int]) -> int:
        """The result of `work`, while the destinations are read and the processes watched. Raises what any raises."""
        reading, working = asyncio.create_task(readback.run()), asyncio.create_task(work)
        tasks = {reading, working, asyncio.create_task(self._watch())}
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            self._stack.check()  # a process that ended explains best why others failed
            for task in done:
                task.result()
            return working.result()
        finally:
            readback.stop()
            for task in tasks - {reading}:
                task.cancel()
            await asyncio.wait({reading}, timeout=3)
            reading.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _watch(self) -> None:
        while True:
            self._stack.check()
            await asyncio.sleep(0.5)

    async def _play(self, rows: Iterator[list[str]]) -> int:
        options, console = self._options, self._console
        if options.replay:
            await self._replay(itertools.islice(flights.events(rows), options.replay))
            if not self._ledger.agrees:
                console.print("The counts do not agree. Logs: .lab/run/", style="red")
                return 1
            if off := astray(await asyncio.to_thread(scraped, f"http://127.0.0.1:{options.admin_port}")):
                console.print(f"Penstock's own books do not balance: {off}. Logs: .lab/run/", style="red")
                return 1
        self._shown = True
        if options.once:
            return 0
        report.invitation(console, options.port, options.admin_port)
        while True:
            self._ledger.strangers.clear()
            await asyncio.sleep(IDLE_SECONDS)
            report.arrivals(console, self._ledger.strangers)

    async def _replay(self, events: Iterator[dict[str, Any]]) -> None:
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        with Progress(*columns, console=self._console) as progress:
            bar = progress.add_task("Replaying flights", total=min(self._options.replay, flights.ROWS))
            url = f"http://127.0.0.1:{self._options.port}/v1/flights"
            production = Production(self._stack.brokers, self._ledger, lambda count: progress.advance(bar, count))
            replay = Replay(url, self._ledger, lambda count: progress.advance(bar, count))
            await replay.run(production.divert(events))
            await production.flush()
        with self._console.status("Reading back what has arrived"):
            await self._all_read()
        report.accounts(self._console, self._ledger)
        report.refusals(self._console, replay.refusals)
        report.ways(self._console, len(self._ledger), production.written)

    async def _all_read(self) -> None:
        """Wait until nothing more arrives and the counts agree, or do not for READ_BACK_SECONDS."""
        quiet = 0.0
        while quiet < READ_BACK_SECONDS:
            before = self._ledger.readings
            await asyncio.sleep(QUIET_SECONDS)
            quiet = quiet + QUIET_SECONDS if self._ledger.readings == before else 0.0
            if quiet and self._ledger.agrees:
                return


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """What is wrong, without the usage: whoever runs `make` never wrote these options."""
        self.exit(2, f"{message}\n")


def _options() -> argparse.Namespace:
    parser = _Parser(prog="python -m examples.quickstart", description=__doc__)
    parser.add_argument("--replay", type=_count, default=20_000, help="how many flights; 0 replays none")
    parser.add_argument("--port", type=_port, default=8080, help="port of the gateway")
    parser.add_argument("--admin-port", type=_port, default=9464, help="port of metrics and status")
    parser.add_argument("--kafka", choices=("mock", "real"), default="mock", help="`real` needs Java 17")
    parser.add_argument("--once", action="store_true", help="stop after the table")
    options = parser.parse_args()
    if options.port == options.admin_port:
        parser.error(f"{options.port} cannot be both ports: make run PORT=8080 ADMIN_PORT=9464")
    return options


def _count(text: str) -> int:
    return _whole(text, range(10**9), "a number of flights, 0 or more: make run REPLAY=1000")


def _port(text: str) -> int:
    return _whole(text, range(1, 2**16), "a port, 1 to 65535: make run PORT=8080 ADMIN_PORT=9464")


def _whole(text: str, allowed: range, wanted: str) -> int:
    try:
        number = int(text)
    except ValueError:
        number = -1
    if number not in allowed:
        raise argparse.ArgumentTypeError(f"{text!r:.40} is not {wanted}")
    return number


def _first(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


if __name__ == "__main__":
    sys.exit(main())
