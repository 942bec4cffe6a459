"""`python -m bench.calls`: CPU of one call to Kinesis and to SQS, by the SDK and by us, in one process and in turns.

The destinations are those of the benchmark. Figures are medians of several rounds; compare the ratios, machines are
noisy.
"""

import asyncio
import os
import statistics
import tempfile
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from time import process_time
from typing import Any

import aiohttp
import uvloop

from bench.bodies import event
from bench.program import compiled, stubs
from deploy.local.emulator import isolated
from service.aws.requests import Operation, body_of, encode
from service.aws.session import client
from service.aws.settings import AwsConfig
from service.sinks import kinesis_records, sqs

ROUNDS = 9
CALLS_A_ROUND = 160
AT_ONCE = 8
Call = Callable[[], Awaitable[object]]


async def timed(call: Call) -> float:
    """Microseconds of CPU of a call."""

    async def some() -> None:
        for _ in range(CALLS_A_ROUND // AT_ONCE):
            await call()

    began = process_time()
    await asyncio.gather(*[some() for _ in range(AT_ONCE)])
    return (process_time() - began) / CALLS_A_ROUND * 1e6


def kinesis(made: Any, records: int) -> tuple[Call, Call, bytes]:
    """PutRecords by the SDK and by us, and the body of ours."""
    bodies = [event(number) for number in range(records)]
    entries = [{"Data": each, "PartitionKey": "key"} for each in bodies]
    written = [kinesis_records.written(kinesis_records.Record(each, "key")) for each in bodies]
    body = body_of({"StreamName": "orders"}, written)
    ours = Operation(made, "kinesis", "PutRecords", "put_records", kinesis_records.Answer)
    return lambda: made.put_records(StreamName="orders", Records=entries), lambda: ours(body, StreamName="orders"), body


def messages(made: Any, url: str) -> tuple[Call, Call, bytes]:
    """SendMessageBatch of ten, the same."""
    entries = [{"Id": str(number), "MessageBody": event(number).decode()} for number in range(10)]
    body = encode({"QueueUrl": url, "Entries": entries})
    ours = Operation(made, "sqs", "SendMessageBatch", "send_message_batch", sqs.Answer)
    return lambda: made.send_message_batch(QueueUrl=url, Entries=entries), lambda: ours(body, QueueUrl=url), body


async def measure(endpoint: str) -> None:
    """Print the table."""
    config = AwsConfig(region="eu-west-1", endpoint_url=endpoint)
    queue = "https://sqs.eu-west-1.amazonaws.com/000000000000/orders"
    async with AsyncExitStack() as stack:
        clients = [
            await stack.enter_async_context(client(name, config, concurrency=AT_ONCE, call_timeout=10.0))
            for name in ("kinesis", "kinesis", "sqs")
        ]
        session = await stack.enter_async_context(aiohttp.ClientSession())
        print(f"{'µs of CPU of a call':<28}{'the SDK':>10}{'ours':>8}{'ratio':>8}{'aiohttp alone':>16}")
        for name, target, (sdks, ours, body) in (
            ("PutRecords, 1 record", "Kinesis_20131202.PutRecords", kinesis(clients[0], 1)),
            ("PutRecords, 100 records", "Kinesis_20131202.PutRecords", kinesis(clients[1], 100)),
            ("SendMessageBatch of 10", "AmazonSQS.SendMessageBatch", messages(clients[2], queue)),
        ):

            async def bare(target: str = target, body: bytes = body) -> None:
                async with session.post(endpoint, data=body, headers={"X-Amz-Target": target}) as answer:
                    await answer.read()

            found: list[list[float]] = [[], [], []]
            for number in range(ROUNDS + 1):
                for times, call in zip(found, (sdks, ours, bare), strict=True):
                    if number:  # the first round warms up
                        times.append(await timed(call))
                    else:
                        await call()
            sdk, our, alone = map(statistics.median, found)
            print(f"{name:<28}{sdk:>10.0f}{our:>8.0f}{sdk / our:>8.1f}{alone:>16.0f}", flush=True)


def main() -> None:
    """Start the destinations and measure. Needs Go, as the benchmark does."""
    environment = isolated(os.environ)
    os.environ.clear()
    os.environ.update(environment)
    with tempfile.TemporaryDirectory() as folder, stubs(compiled(), Path(folder)) as running:
        uvloop.run(measure(running.endpoint))


if __name__ == "__main__":
    main()
