"""Dead letters in the S3 bucket behind a Firehose delivery stream, in the form that the firehose sink gives them."""

import gzip
import io
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack
from datetime import datetime
from typing import Any, Self, assert_never

import zstandard

from service.aws.arn import Arn, is_arn
from service.aws.session import client
from service.aws.settings import AwsConfig
from service.dlq.asking import CALL_SECONDS, ask
from service.dlq.reader import Stored, StoreError
from service.dlq.settled import Settled
from service.sinks.firehose import Firehose
from service.sinks.packing import Form
from service.sinks.unpacking import unpack

_GZIP, _ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"
"""First bytes of a gzip member (RFC 1952) and of a zstd frame (RFC 8878)."""


class S3Reader:
    """Needs s3:ListBucket and s3:GetObject; to be told the bucket by the delivery stream,
    firehose:DescribeDeliveryStream. With a key of one's own kms:Decrypt.
    """

    deletes = False

    def __init__(
        self,
        name: str,
        config: Firehose.Config,
        settled: Settled,
        bucket: str,
        prefix: str,
        aws: AwsConfig,
        since: datetime | None,
    ) -> None:
        """`since`: objects written before it need not be looked into."""
        self.place = f"s3://{bucket}/{prefix}"
        self.notes: list[str] = []
        del name, settled
        self._bucket, self._prefix, self._since = bucket, prefix, since
        self._pack = config.pack
        # the sink's own endpoint is Firehose's; one for all of AWS is S3's too
        self._config = config.model_copy(update={"endpoint_url": aws.endpoint_url})
        self._client: Any = None
        self._exit = AsyncExitStack()

    async def letters(self) -> AsyncGenerator[Stored, None]:
        """Object by object, in the order of their keys."""
        page: dict[str, str] = {}
        while True:
            answer = await self._ask(
                "ListBucket", self._client.list_objects_v2, Bucket=self._bucket, Prefix=self._prefix, **page
            )
            for found in answer.get("Contents") or ():
                if self._since is None or found["LastModified"] >= self._since:
                    key = str(found["Key"])
                    for index, piece in enumerate(self._pieces(key, await self._object(key))):
                        yield Stored(f"{key}#{index}", piece)
            if not answer.get("NextContinuationToken"):
                return
            page = {"ContinuationToken": str(answer["NextContinuationToken"])}

    async def _object(self, key: str) -> bytes:
        async def get() -> bytes:
            answer = await self._client.get_object(Bucket=self._bucket, Key=key)
            async with answer["Body"] as body:
                data: bytes = await body.read()
                return data

        data: bytes = await ask(get, f"s3://{self._bucket}/{key}", "s3:GetObject", self._client.meta.region_name)
        return data

    def _pieces(self, key: str, data: bytes) -> list[bytes]:
        try:
            return pieces(data, self._pack)
        except (ValueError, OSError, EOFError, zstandard.ZstdError) as error:
            self.notes.append(f"{key} cannot be read as `pack: {self._pack}`, and was left out: {error}")
            return []

    async def remove(self, stored: Stored) -> None:
        """An object holds many letters, and does not change."""

    async def _ask(self, operation: str, method: Any, **arguments: Any) -> Any:
        region = self._client.meta.region_name
        return await ask(lambda: method(**arguments), self.place, f"s3:{operation}", region)

    async def __aenter__(self) -> Self:
        self._client = await self._exit.enter_async_context(
            client("s3", self._config, concurrency=2, call_timeout=CALL_SECONDS)
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._exit.aclose()


async def bucket_behind(config: Firehose.Config) -> tuple[str, str]:
    """Bucket and prefix that the delivery stream writes to, as it tells. Raises StoreError, naming the way around."""
    stream, instead = config.delivery_stream, "say it yourself: --s3 s3://BUCKET/PREFIX"
    if is_arn(stream):
        stream = Arn.parse(stream, "firehose", "deliverystream/").name
    async with client("firehose", config, concurrency=1, call_timeout=CALL_SECONDS) as firehose:
        try:
            answer = await ask(
                lambda: firehose.describe_delivery_stream(DeliveryStreamName=stream),
                f"delivery stream {stream!r}",
                "firehose:DescribeDeliveryStream",
                firehose.meta.region_name,
            )
        except StoreError as error:
            raise StoreError(f"{error}; or {instead}") from error
    for destination in answer["DeliveryStreamDescription"].get("Destinations") or ():
        told = destination.get("ExtendedS3DestinationDescription") or destination.get("S3DestinationDescription")
        if told:
            # what follows the first expression is different for each object (Firehose, custom prefixes)
            return told["BucketARN"].rpartition(":")[2], (told.get("Prefix") or "").partition("!{")[0]
    raise StoreError(f"delivery stream {stream!r} names no bucket; {instead}")


def parse_s3(text: str) -> tuple[str, str]:
    """Bucket and prefix in `s3://bucket/prefix`. Raises ValueError."""
    scheme, _, rest = text.partition("://")
    bucket, _, prefix = rest.partition("/")
    if scheme != "s3" or not bucket:
        raise ValueError(f"{text!r} is no place in S3: write s3://BUCKET/PREFIX")
    return bucket, prefix


def pieces(data: bytes, form: Form) -> list[bytes]:
    """The events in an object of records that were put one after the other. Raises what its codec does if it is none.

    Compressed by the sink, by Firehose, or by both: the object begins as no letter does.
    """
    while data.startswith((_GZIP, _ZSTD)):
        data = _inflated(data)
    match form:
        case "length_prefixed":
            return unpack(data, form)
        case "json_array":
            return [each for line in data.splitlines() for each in unpack(line, form)]
        case "ndjson" | "none":
            # of `none`, each letter is a line too, unless the sink has `newline: false`
            return [line for line in data.split(b"\n") if line]
        case _:
            assert_never(form)


def _inflated(data: bytes) -> bytes:
    if data.startswith(_GZIP):
        return gzip.decompress(data)
    with zstandard.ZstdDecompressor().stream_reader(io.BytesIO(data), read_across_frames=True) as frames:
        return frames.read()
