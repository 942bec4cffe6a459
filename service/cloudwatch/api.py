"""The way by PutMetricData. Requests are written and compressed here, in a thread: the SDK would do both on the event
loop, where 100 metrics of 150 values take it 22 ms.

Limits: CloudWatch API reference, PutMetricData and MetricDatum.
"""

import asyncio
import gzip
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

import msgspec

from service.aws.failures import AWS_ERRORS, retry_for
from service.aws.session import client
from service.cloudwatch.datum import Datum
from service.cloudwatch.names import Kind
from service.cloudwatch.way import Packed, Unsent
from service.config.cloudwatch import CloudWatchConfig
from service.errors import ConfigError
from service.outcome import Reason

REQUEST_DATUMS: Final = 1000
REQUEST_BYTES: Final = 1_000_000
"""Before compression, to be safe: "1 MB" is not said more exactly."""
DATUM_VALUES: Final = 150
CALL_SECONDS: Final = 10.0
"""Most for one call, all in all."""

_encode = msgspec.json.Encoder().encode


class Api:
    """PutMetricData with a client of CloudWatch, one call at a time.

    Needs cloudwatch:PutMetricData. A call without an answer may have been counted, and counts again when it is sent
    again: CloudWatch cannot tell.
    """

    def __init__(self, settings: CloudWatchConfig, client: Any) -> None:
        model = client.meta.service_model
        if model.resolved_protocol != "json" or model.operation_model("PutMetricData").http["requestUri"] != "/":
            raise ConfigError(
                ["cloudwatch: the AWS SDK does not write PutMetricData as Penstock does: install the locked versions"]
            )
        self._settings = settings
        self._put_metric_data = client.put_metric_data
        self._body = b""
        client.meta.events.register("before-call.cloudwatch.PutMetricData", self._before_call)

    def packed(self, data: Sequence[Datum], moment: float) -> list[Packed]:
        """As few requests as the limits allow."""
        settings = self._settings
        common = [{"Name": "Service", "Value": settings.service}]
        common += [{"Name": name, "Value": value} for name, value in settings.dimensions.items()]
        resolution = 1 if settings.high_resolution else 60
        head = b'{"Namespace":' + _encode(settings.namespace) + b',"MetricData":['
        pieces = (_encode(each) for datum in data for each in _data(datum, common, int(moment), resolution))
        return [
            Packed(gzip.compress(head + b",".join(part) + b"]}", mtime=0), len(part))
            for part in _parts(pieces, REQUEST_BYTES - len(head) - 2)
        ]

    async def send(self, packed: Packed) -> None:
        """See `Way`."""
        self._body = packed.body
        try:
            async with asyncio.timeout(CALL_SECONDS):
                await self._put_metric_data(Namespace=self._settings.namespace)
        except AWS_ERRORS as error:
            retry = retry_for(error)
            hopeless = retry.reason is Reason.MISCONFIGURED
            raise Unsent(retry.reason.value, retry.detail, retry.after, hopeless=hopeless) from error

    def _before_call(self, params: dict[str, Any], **_: Any) -> None:
        """Give the SDK the request that is ready, before it is signed."""
        params["body"] = self._body
        params["headers"]["Content-Encoding"] = "gzip"


@asynccontextmanager
async def opened(settings: CloudWatchConfig) -> AsyncIterator[Api]:
    """The way that `settings` say. Raises ConfigError."""
    async with client("cloudwatch", settings, concurrency=1, call_timeout=CALL_SECONDS) as made:
        yield Api(settings, made)


def _data(datum: Datum, common: list[dict[str, str]], moment: int, resolution: int) -> Iterator[dict[str, Any]]:
    """The datum as MetricDatum: several where it has more values than one may have."""
    metric = datum.metric
    written: dict[str, Any] = {
        "MetricName": metric.name,
        "Dimensions": [*common, {"Name": metric.by.value, "Value": datum.of}] if datum.of else common,
        "Timestamp": moment,
        "Unit": metric.unit,
        "StorageResolution": resolution,
    }
    if metric.kind is not Kind.SPREAD:
        yield written | {"Value": datum.values[0]}
        return
    for start in range(0, len(datum.values), DATUM_VALUES):
        part = slice(start, start + DATUM_VALUES)
        yield written | {"Values": datum.values[part], "Counts": datum.counts[part]}


def _parts(pieces: Iterator[bytes], most: int) -> Iterator[list[bytes]]:
    """Groups of at most REQUEST_DATUMS, of at most so many bytes with a comma each."""
    part: list[bytes] = []
    size = 0
    for piece in pieces:
        if part and (len(part) == REQUEST_DATUMS or size + len(piece) > most):
            yield part
            part, size = [], 0
        part.append(piece)
        size += len(piece) + 1
    if part:
        yield part
