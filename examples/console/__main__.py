"""`python -m examples.console`: a service before the AWS emulator, with a destination that is throttled after a while.

To be looked at; with `--screenshot FILE` it takes a picture of its console and ends (needs Chromium)."""

import argparse
import asyncio
import os
import shutil
import sys
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

import yaml

from bench.scenarios.world import World, world
from deploy.local.child import Child, leashed
from deploy.local.emulator import emulator, isolated
from deploy.local.faultproxy.behaviour import Behaviour
from examples.console.traffic import Traffic
from examples.quickstart.resources import Clients

Scheme = Literal["dark", "light"]

CONFIGURATION = Path(__file__).with_name("penstock.yaml")
STREAMS = {"orders": 2, "sessions": 1}
QUEUES = ("billing", "dead-letters")
WELL = Behaviour(delay=0.012)
THROTTLED = Behaviour(delay=0.012, records_per_second=120.0)
"""What `sessions` takes once it is throttled: less than comes."""
WIDTH, HEIGHT = 1360, 1330


def main() -> int:
    """Exit code 0, or that of an interrupt."""
    parser = argparse.ArgumentParser(prog="python -m examples.console", description=__doc__)
    parser.add_argument("--screenshot", type=Path, help="PNG to write, then end")
    parser.add_argument("--well", type=float, default=480.0, help="seconds before the throttling")
    parser.add_argument("--throttled", type=float, default=12.0, help="seconds from then to the screenshot")
    parser.add_argument("--scheme", choices=("dark", "light"), default="dark", help="colours of the screenshot")
    options = parser.parse_args()
    with suppress(KeyboardInterrupt), TemporaryDirectory() as folder:
        asyncio.run(_run(options, Path(folder)))
        return 0
    return 130


async def _run(options: argparse.Namespace, folder: Path) -> None:
    command = leashed("deploy.local.mock_cluster", "--topics", "clicks,stock", "--partitions", "4")
    with (
        emulator(folder / "emulator.log", isolated(os.environ)) as (_, endpoint),
        Child("The Kafka broker", command, folder / "kafka.log", announces=True) as broker,
    ):
        brokers = (await asyncio.to_thread(broker.announcement))["bootstrap"]
        os.environ["KAFKA_BROKERS"] = brokers
        async with Clients(endpoint) as aws:
            await _create(aws)
        shutil.copy(CONFIGURATION.with_name("order.schema.json"), folder)
        configuration: dict[str, Any] = yaml.safe_load(CONFIGURATION.read_text("utf-8"))
        names = (*STREAMS, *QUEUES, "lake")
        async with world(configuration, dict.fromkeys(names, WELL), folder, endpoint) as running:
            sending = asyncio.create_task(Traffic(running.session, running.url, brokers).run())
            try:
                await _show(options, running)
            finally:
                sending.cancel()
                await asyncio.gather(sending, return_exceptions=True)


async def _create(aws: Clients) -> None:
    for name, shards in STREAMS.items():
        await aws.kinesis.create_stream(StreamName=name, ShardCount=shards)
        await aws.kinesis.get_waiter("stream_exists").wait(StreamName=name, WaiterConfig={"Delay": 1})
    for name in QUEUES:
        await aws.sqs.create_queue(QueueName=name)
    await aws.s3.create_bucket(Bucket="lake")
    target = {"RoleARN": "arn:aws:iam::000000000000:role/firehose", "BucketARN": "arn:aws:s3:::lake"}
    await aws.firehose.create_delivery_stream(DeliveryStreamName="lake", ExtendedS3DestinationConfiguration=target)


async def _show(options: argparse.Namespace, running: World) -> None:
    print(f"{running.admin}/console  (`sessions` is throttled after {options.well:g} s)", flush=True)
    await asyncio.sleep(options.well)
    await running.behave("sessions", THROTTLED)
    if options.screenshot is None:
        await asyncio.Event().wait()
    await asyncio.sleep(options.throttled)
    await _photograph(f"{running.admin}/console", options.screenshot, options.scheme)


async def _photograph(url: str, file: Path, scheme: Scheme) -> None:
    from playwright.async_api import async_playwright

    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = await browser.new_page(viewport={"width": WIDTH, "height": HEIGHT}, color_scheme=scheme)
        await page.goto(url)
        await page.wait_for_selector("#lanes [data-state=throttled]")
        await page.wait_for_selector("#charts canvas")
        await asyncio.sleep(2)  # the charts have their first point, the lines their last place
        await page.screenshot(path=file)
        await browser.close()


if __name__ == "__main__":
    sys.exit(main())
