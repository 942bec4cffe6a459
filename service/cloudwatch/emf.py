"""The way by the embedded metric format: lines on standard output, which CloudWatch Logs turns into metrics.

The format, and its limits: Amazon CloudWatch User Guide, "Specification: Embedded metric format". Who takes the lines
there is the business of a log driver, or of the CloudWatch agent.
"""

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

import msgspec

from service.cloudwatch.datum import Datum
from service.cloudwatch.names import BY_NAME, By, Kind
from service.cloudwatch.way import Packed, Unsent
from service.config.cloudwatch import CloudWatchConfig
from service.errors import ConfigError
from service.outcome import Reason
from service.output import Output

LINE_METRICS: Final = 100
"""Most metrics of one directive."""
ARRAY_VALUES: Final = 100
"""Most values of one metric: each counts once."""
LINE_BYTES: Final = 16_000
"""Where a line is ended, although CloudWatch takes 256 KB: most drivers of container logs cut at 16 KiB."""

_encode = msgspec.json.Encoder().encode


class Emf:
    """One line for each value of a dimension. Needs no permission here; the log driver's role needs
    logs:PutLogEvents."""

    def __init__(self, settings: CloudWatchConfig, output: Output) -> None:
        """Raises ConfigError if a dimension has the name of a metric: both are members of the same object."""
        if taken := sorted(settings.dimensions.keys() & BY_NAME.keys()):
            raise ConfigError([f"cloudwatch.dimensions: {taken[0]} is the name of a metric; use another name"])
        self._settings = settings
        self._output = output
        self._resolution = {"StorageResolution": 1} if settings.high_resolution else {}

    def packed(self, data: Sequence[Datum], moment: float) -> list[Packed]:
        """All lines of one flush, as one."""
        groups: dict[tuple[By, str], list[Datum]] = {}
        for datum in data:
            groups.setdefault((datum.metric.by, datum.of), []).append(datum)
        lines = [
            line for (by, of), group in groups.items() for line in self._lines(by, of, group, round(moment * 1000))
        ]
        return [Packed(b"".join(lines), len(data))] if lines else []

    def _lines(self, by: By, of: str, data: Sequence[Datum], milliseconds: int) -> Iterator[bytes]:
        """The data of one value of one dimension, as few lines as the limits allow."""
        dimensions = {"Service": self._settings.service, **self._settings.dimensions} | ({by.value: of} if of else {})
        size = LINE_BYTES
        part: dict[str, Any] = {}
        for datum in data:
            target = _target(datum)
            grows = len(_encode(target)) + 2 * len(datum.metric.name) + 100
            if part and (size + grows > LINE_BYTES or len(part) == LINE_METRICS):
                yield self._line(dimensions, part, milliseconds)
                part = {}
            if not part:
                size = len(_encode([dimensions, list(dimensions), self._settings.namespace])) + 100
            part[datum.metric.name] = target
            size += grows
        yield self._line(dimensions, part, milliseconds)

    def _line(self, dimensions: dict[str, str], targets: dict[str, Any], milliseconds: int) -> bytes:
        directive = {
            "Namespace": self._settings.namespace,
            "Dimensions": [list(dimensions)],
            "Metrics": [{"Name": name, "Unit": BY_NAME[name].unit, **self._resolution} for name in targets],
        }
        about = {"Timestamp": milliseconds, "CloudWatchMetrics": [directive]}
        return _encode({"_aws": about, **dimensions, **targets}) + b"\n"

    async def send(self, packed: Packed) -> None:
        """See `Way`. Waits for as long as the reader does not read."""
        written, error = await self._output.write(packed.body)
        if error is None:
            return
        raise Unsent(
            Reason.UNAVAILABLE.value,
            f"cannot write to standard output: {error.strerror}",
            # the lines that arrived would count twice
            hopeless=written > 0,
        ) from error


def _target(datum: Datum) -> float | list[float]:
    """What stands for the datum at the root of a line.

    The specification has no counts beside values, so a spread of more than ARRAY_VALUES measurements is told as its
    percentiles, 1 to 100 (docs/decisions/028).
    """
    if datum.metric.kind is not Kind.SPREAD:
        return datum.values[0]
    total = sum(datum.counts)
    if total <= ARRAY_VALUES:
        return [value for value, count in zip(datum.values, datum.counts, strict=True) for _ in range(count)]
    percentiles: list[float] = []
    seen = 0
    for value, count in zip(datum.values, datum.counts, strict=True):
        seen += count
        # the value at rank ceil(share * total), for each hundredth that ends within this bucket
        percentiles += [value] * (ARRAY_VALUES * seen // total - len(percentiles))
    return percentiles


@asynccontextmanager
async def opened(settings: CloudWatchConfig, descriptor: int = 1) -> AsyncIterator[Emf]:
    """The way that `settings` say. Raises ConfigError."""
    output = Output(descriptor)
    output.open()
    try:
        yield Emf(settings, output)
    finally:
        output.close()
