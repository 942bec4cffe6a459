"""What the example needs in AWS: a stream of 4 shards, two queues, a bucket, and a delivery stream into it."""

from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any, Self

from aiobotocore.config import AioConfig
from aiobotocore.session import get_session

from deploy.local.emulator import ACCESS_KEY, REGION, SECRET_KEY

STREAM = DELIVERY_STREAM = QUEUE = TOPIC = "flights"
INCOMING = "flights.incoming"
"""The topic that Penstock reads."""
DEAD_QUEUE = "flights-dead"
BUCKET = "flights-lake"
SHARDS = PARTITIONS = 4
_ROLE = "arn:aws:iam::000000000000:role/firehose"


@dataclass
class Clients:
    """Clients of the emulator, open inside `async with`. They never see the user's own credentials."""

    endpoint: str
    kinesis: Any = None
    firehose: Any = None
    sqs: Any = None
    s3: Any = None

    async def __aenter__(self) -> Self:
        self._stack = AsyncExitStack()
        for service in ("kinesis", "firehose", "sqs", "s3"):
            client = get_session().create_client(
                service,
                region_name=REGION,
                endpoint_url=self.endpoint,
                aws_access_key_id=ACCESS_KEY,
                aws_secret_access_key=SECRET_KEY,
                config=AioConfig(max_pool_connections=32),
            )
            setattr(self, service, await self._stack.enter_async_context(client))
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()


async def create(aws: Clients) -> dict[str, str]:
    """Create everything, and wait for it. Returns the queues' URLs by name."""
    await aws.kinesis.create_stream(StreamName=STREAM, ShardCount=SHARDS)
    urls = {name: (await aws.sqs.create_queue(QueueName=name))["QueueUrl"] for name in (QUEUE, DEAD_QUEUE)}
    await aws.s3.create_bucket(Bucket=BUCKET)
    await aws.firehose.create_delivery_stream(
        DeliveryStreamName=DELIVERY_STREAM,
        ExtendedS3DestinationConfiguration={"RoleARN": _ROLE, "BucketARN": f"arn:aws:s3:::{BUCKET}"},
    )
    await aws.kinesis.get_waiter("stream_exists").wait(StreamName=STREAM, WaiterConfig={"Delay": 1})
    return urls
