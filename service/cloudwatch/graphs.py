"""What the dashboard shows: a row for each question that an operator asks, with the graphs that answer it."""

from typing import Final

from msgspec import Struct


class Graph(Struct, frozen=True):
    """Some metrics, a line for each sink, route or source, and for each statistic."""

    title: str
    metrics: tuple[str, ...]
    statistics: tuple[str, ...]
    """A line for each."""
    share: tuple[str, str] | None = None
    """If the one metric is taken as a share, in percent, of the sum of these two."""
    records: bool = False
    """Only for sinks whose records are counted."""
    strays: bool = False
    """Beside the routes, also what found none."""


class Row(Struct, frozen=True):
    """One question."""

    question: str
    hint: str
    graphs: tuple[Graph, ...]


def _sum(title: str, *metrics: str, records: bool = False) -> Graph:
    return Graph(title, metrics, ("Sum",), records=records)


def _highest(title: str, *metrics: str) -> Graph:
    return Graph(title, metrics, ("Maximum",))


def _percentiles(title: str, metric: str, *statistics: str) -> Graph:
    return Graph(title, (metric,), statistics)


ROWS: Final = (
    Row(
        "Is anything lost?",
        "All of it at 0 is the answer no. Dead letters are safe, what was given back is the producers' again.",
        (
            _sum("Dropped: lost", "EventsDropped"),
            _highest("Not accounted for: a defect", "EventsUnaccounted"),
            _sum("Dead letters", "EventsDeadLettered"),
            _sum(
                "Given back, refused by the sink (producers know), or taken by the fallback",
                "EventsGivenBack",
                "EventsRejectedBySink",
                "EventsDiverted",
            ),
        ),
    ),
    Row(
        "Who is slow?",
        "A sink whose oldest event grows is away or too slow: /readyz on the admin port says why and what to do.",
        (
            _highest("Age of the oldest event, s", "OldestEventAge"),
            _highest("Events that wait, in one replica", "UserRecordsPending"),
            _highest("Room that is used, %", "LaneFullness"),
            _highest("Broken: 1", "BreakerOpen"),
        ),
    ),
    Row(
        "Who is throttled, who fails?",
        "Throttled: more shards or quota. Other errors: the table of reasons in docs/metrics.md.",
        (
            Graph("Throttled, %", ("ThrottledRecords",), ("Sum",), share=("UserRecordsPut", "AllErrors")),
            _sum("Throttled", "ThrottledRecords"),
            _sum("Failed attempts", "AllErrors"),
            _percentiles("Attempts that failed before an event arrived", "RetriesPerRecord", "p50", "p99"),
        ),
    ),
    Row(
        "What comes in, what is refused?",
        "Rejected: the producer's to mend. Refused: for lack of room; it is to come again.",
        (
            Graph("Received", ("EventsReceived",), ("Sum",), strays=True),
            Graph("Rejected", ("EventsRejected",), ("Sum",), strays=True),
            _sum("Refused for lack of room", "EventsRefusedBusy"),
            _highest("Messages behind", "ConsumerLag"),
        ),
    ),
    Row(
        "How long does it take?",
        "An answer waits for the slowest required sink of its route.",
        (
            _percentiles("Answer, ms", "AnswerTime", "p50", "p99"),
            _percentiles("From the lane to the destination, ms", "DeliveryTime", "p50", "p99"),
            _percentiles("Of it, in the lane, ms", "BufferingTime", "p99"),
            _percentiles("Of it, one call, ms", "RequestTime", "p50", "p99"),
        ),
    ),
    Row(
        "What does it cost?",
        "Many events to a record and to a call are cheap: `linger`, `pack`, `aggregate`. Costs: docs/destinations.md.",
        (
            Graph("User records per record", ("UserRecordsPerKinesisRecord",), ("Average",), records=True),
            Graph("User records per call", ("UserRecordsPerCall",), ("Average",)),
            _sum("User records taken and put", "UserRecordsReceived", "UserRecordsPut"),
            _sum("Bytes put", "UserRecordsDataPut"),
            _sum("Records put", "KinesisRecordsPut", records=True),
            _sum("Data points for CloudWatch that were dropped", "DatumsDropped"),
        ),
    ),
    Row(
        "Is the journal filling?",
        "Full, it takes nothing: 503. `penstock journal status` says for which sink events wait.",
        (
            _highest("Of journal.max_bytes, %", "JournalFullness"),
            _highest("Age of the oldest stored event, s", "JournalOldestAge"),
        ),
    ),
    Row(
        "Do certificates and keys hold?",
        "A certificate is to be renewed before it ends. While keys cannot be read again, the old ones stay good.",
        (
            Graph("Time left of the certificate that ends first, s", ("CertificateTimeLeft",), ("Minimum",)),
            _sum("Keys that could not be read", "AuthRefreshFailures"),
        ),
    ),
)
