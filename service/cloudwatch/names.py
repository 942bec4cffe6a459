"""Every metric that CloudWatch gets: its name, unit and dimensions. A closed set; `docs/metrics.md` is held to it.

Names that the Kinesis Producer Library has are used where they mean the same
(https://docs.aws.amazon.com/streams/latest/dev/monitoring-with-kpl.html).
"""

from enum import StrEnum
from typing import Final

from msgspec import Struct


class By(StrEnum):
    """The dimension beside `Service`, which every metric has."""

    SERVICE = ""
    ROUTE = "Route"
    SINK = "Sink"
    SOURCE = "Source"


class Part(StrEnum):
    """What a service has or has not. Metrics of it are sent only where it is there."""

    JOURNAL = "journal"
    """A route stores."""
    TLS = "tls"
    """A port has a certificate."""
    KEYS = "keys"
    """API keys, or issuers' keys, are read again while it runs."""


class Kind(StrEnum):
    """What is sent of it at each flush."""

    COUNT = "count"
    """What was counted since the flush before: a sum. Sent from the first time that it is not 0."""
    LEVEL = "level"
    """What it is like at the flush: a maximum, a minimum or an average."""
    SPREAD = "spread"
    """Values and counts since the flush before: percentiles."""


class Named(Struct, frozen=True):
    """One metric."""

    name: str
    unit: str
    """Of CloudWatch's closed set (StandardUnit)."""
    by: By
    kind: Kind
    part: Part | None = None
    """Sent only where there is this."""


def _named(by: By, kind: Kind, unit: str, *names: str, part: Part | None = None) -> tuple[Named, ...]:
    return tuple(Named(name, unit, by, kind, part) for name in names)


METRICS: Final = (
    *_named(By.ROUTE, Kind.COUNT, "Count", "EventsReceived", "EventsRejected", "EventsRefusedBusy"),
    *_named(By.ROUTE, Kind.SPREAD, "Milliseconds", "AnswerTime"),
    *_named(
        By.SINK,
        Kind.COUNT,
        "Count",
        "UserRecordsReceived",
        "UserRecordsPut",
        "KinesisRecordsPut",
        "AllErrors",
        "ThrottledRecords",
        "EventsDeadLettered",
        "EventsRejectedBySink",
        "EventsGivenBack",
        "EventsDropped",
        "EventsDiverted",
    ),
    *_named(By.SINK, Kind.COUNT, "Bytes", "UserRecordsDataPut"),
    *_named(By.SINK, Kind.LEVEL, "Count", "UserRecordsPending", "UserRecordsPerKinesisRecord"),
    *_named(By.SINK, Kind.SPREAD, "Count", "UserRecordsPerCall", "RetriesPerRecord"),
    *_named(By.SINK, Kind.SPREAD, "Milliseconds", "BufferingTime", "RequestTime", "DeliveryTime"),
    *_named(By.SINK, Kind.LEVEL, "Seconds", "OldestEventAge"),
    *_named(By.SINK, Kind.LEVEL, "Percent", "LaneFullness"),
    *_named(By.SINK, Kind.LEVEL, "None", "BreakerOpen"),
    *_named(By.SOURCE, Kind.LEVEL, "Count", "ConsumerLag"),
    *_named(By.SERVICE, Kind.LEVEL, "Percent", "JournalFullness", part=Part.JOURNAL),
    *_named(By.SERVICE, Kind.LEVEL, "Seconds", "JournalOldestAge", part=Part.JOURNAL),
    *_named(By.SERVICE, Kind.LEVEL, "Seconds", "CertificateTimeLeft", part=Part.TLS),
    *_named(By.SERVICE, Kind.COUNT, "Count", "AuthRefreshFailures", part=Part.KEYS),
    *_named(By.SERVICE, Kind.LEVEL, "Count", "EventsUnaccounted"),
    *_named(By.SERVICE, Kind.COUNT, "Count", "DatumsDropped"),
)

BY_NAME: Final = {metric.name: metric for metric in METRICS}
