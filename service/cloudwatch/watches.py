"""What is watched by alarms, and what each says to whoever is woken by it.

`docs/runbook.md` has a section for each, which its description names; a test compares.
"""

from collections.abc import Callable
from enum import StrEnum
from typing import Final

from msgspec import Struct

from service.cloudwatch.parameters import THRESHOLDS, Threshold
from service.cloudwatch.watched import MINUTE, WatchedSink


class Missing(StrEnum):
    """What a period without data means ("Configuring how CloudWatch alarms treat missing data", its user guide)."""

    WELL = "notBreaching"
    """Nothing was counted: of a count, nothing happened."""
    STAYS = "ignore"
    """Nobody said what it is like: of a level, it is as it was. A process that died with the trouble has not ended it.
    """
    AMISS = "breaching"
    """Silence is what the alarm is about."""


class Watch(Struct, frozen=True):
    """One kind of alarm."""

    name: str
    """Of the command line, the alarms' names and the section of `docs/runbook.md`."""
    metric: str
    statistic: str
    threshold: Threshold | int
    """Breached above it; with `below` at less."""
    periods: int
    breached: int
    """So many of `periods` make an alarm."""
    missing: Missing
    means: str
    first: str
    """What to do first."""
    period: int = MINUTE
    """Seconds; longer where metrics come less often."""
    below: bool = False
    share: tuple[str, str] | None = None
    """If the metric is taken as a share, in percent, of the sum of these two."""
    sinks: Callable[[WatchedSink], bool] | None = None
    """Only for such sinks."""
    wanted: bool = False
    """Only for those routes that are named."""


WATCHES: Final = (
    Watch(
        "dropped",
        metric="EventsDropped",
        statistic="Sum",
        threshold=0,
        periods=1,
        breached=1,
        missing=Missing.WELL,
        sinks=lambda sink: sink.drops,
        means="EVENTS ARE LOST at sink {subject}: best effort, and their dead letters had no room; or dead letters, "
        "and a worker died with them.",
        first="Why do the sink and that of its dead letters fail (/status on the admin port)? Give them room "
        "(`memory`), or make the sink required.",
    ),
    Watch(
        "unaccounted",
        metric="EventsUnaccounted",
        statistic="Maximum",
        threshold=0,
        periods=1,
        breached=1,
        missing=Missing.STAYS,
        means="The books do not balance: events were taken of which nobody can say what became. A defect of Penstock.",
        first="Keep the logs and /metrics of all replicas, compare them with what arrived, and report it. Restarting "
        "ends the alarm, not the defect.",
    ),
    Watch(
        "oldest-event",
        metric="OldestEventAge",
        statistic="Maximum",
        threshold=THRESHOLDS["OldestEventAge"],
        periods=3,
        breached=2,
        missing=Missing.STAYS,
        means="Events for sink {subject} wait, the oldest for too long: its destination is away, slow or throttles. "
        "Producers get 503 next; what is stored or comes from a queue waits on.",
        first="/readyz on the admin port says why, since when and what to do. It resumes by itself.",
    ),
    Watch(
        "dead-letters",
        metric="EventsDeadLettered",
        statistic="Sum",
        threshold=THRESHOLDS["DeadLetters"],
        periods=1,
        breached=1,
        missing=Missing.WELL,
        sinks=lambda sink: sink.produced,
        means="Events for sink {subject} became dead letters: refused for good, or given up. They are safe, and did "
        "not arrive.",
        first="`penstock dlq list --refused-by {subject}` shows the reasons; mend the cause, then `penstock dlq "
        "replay`.",
    ),
    Watch(
        "given-back",
        metric="EventsGivenBack",
        statistic="Sum",
        threshold=THRESHOLDS["GivenBack"],
        periods=3,
        breached=2,
        missing=Missing.WELL,
        sinks=lambda sink: sink.produced,
        means="Sink {subject} did not take events in time, again and again: their producers got 503 and must send them "
        "once more.",
        first="As for oldest-event: /readyz and the reason. After a rolling update: was `drain_timeout` too short?",
    ),
    Watch(
        "throttled",
        metric="ThrottledRecords",
        statistic="Sum",
        share=("UserRecordsPut", "AllErrors"),
        threshold=THRESHOLDS["ThrottledPercent"],
        periods=5,
        breached=3,
        missing=Missing.WELL,
        means="The destination of sink {subject} throttles: so much of what it is sent comes back, to be sent again.",
        first="Add shards, or raise its quota; one hot key: spread it. Nothing is lost while oldest-event is quiet.",
    ),
    Watch(
        "refused",
        metric="EventsRefusedBusy",
        statistic="Sum",
        threshold=THRESHOLDS["Refused"],
        periods=3,
        breached=2,
        missing=Missing.WELL,
        means="Events for route {subject} were refused for lack of room, again and again: producers got 503 `busy`.",
        first="The `detail` of such an answer says what is full. A slow sink: as for oldest-event. All of them: more "
        "`server.memory`, or replicas.",
    ),
    Watch(
        "consumer-lag",
        metric="ConsumerLag",
        statistic="Maximum",
        threshold=THRESHOLDS["ConsumerLag"],
        periods=5,
        breached=5,
        missing=Missing.STAYS,
        means="Source {subject} is behind its producers. Nothing is lost as long as its topic or queue keeps messages.",
        first="/readyz first: a sink that is away stops its source. Else one partition may stand still (the log says "
        "where), or it needs more replicas.",
    ),
    Watch(
        "journal-full",
        metric="JournalFullness",
        statistic="Maximum",
        threshold=THRESHOLDS["JournalFullness"],
        periods=3,
        breached=2,
        missing=Missing.STAYS,
        means="The journal is filling; once it is full, routes that store answer 503 `busy`.",
        first="`penstock journal status` says for which sink events wait; bring its destination back. Room: "
        "`journal.max_bytes`, a larger disk.",
    ),
    Watch(
        "journal-old",
        metric="JournalOldestAge",
        statistic="Maximum",
        threshold=THRESHOLDS["JournalOldestAge"],
        periods=3,
        breached=3,
        missing=Missing.STAYS,
        means="Stored events wait for long; after `journal.max_age` they become dead letters.",
        first="`penstock journal status` says for which sink; bring its destination back.",
    ),
    Watch(
        "certificate",
        metric="CertificateTimeLeft",
        statistic="Minimum",
        threshold=THRESHOLDS["CertificateTimeLeft"],
        below=True,
        periods=1,
        breached=1,
        missing=Missing.STAYS,
        means="The certificate of a port, or one above it in its file, ends soon: it is not being renewed, or what it "
        "is renewed with cannot be used. Once it has ended, clients refuse the connection, and no service starts.",
        first="Renew it where it comes from and replace both files at once; the log says if those that came cannot be "
        "used. No restart is needed.",
    ),
    Watch(
        "keys-not-read",
        metric="AuthRefreshFailures",
        statistic="Sum",
        threshold=0,
        periods=15,
        breached=1,
        missing=Missing.WELL,
        means="The list of API keys, or the keys of an issuer of tokens, cannot be read again. The old ones are kept: "
        "a key that was taken out is still good, a new one is not. A service without any answers 503.",
        first="The log says which and why. `penstock doctor` asks the issuer, and Secrets Manager, once more.",
    ),
    Watch(
        "silent",
        metric="EventsUnaccounted",
        statistic="SampleCount",
        threshold=1,
        below=True,
        periods=5,
        breached=5,
        missing=Missing.AMISS,
        means="The service has sent no metrics for five minutes: it does not run, or cannot reach CloudWatch. Until "
        "then no other alarm says anything.",
        first="Does it run? Its log, exit code and /livez; then cloudwatch:PutMetricData of its role, and the network.",
    ),
    Watch(
        "nothing-received",
        metric="EventsReceived",
        statistic="Sum",
        threshold=1,
        below=True,
        period=5 * MINUTE,
        periods=3,
        breached=3,
        missing=Missing.AMISS,
        wanted=True,
        means="No event has come for route {subject} in a quarter of an hour, and some were expected.",
        first="The producers, and what is between them and here; then 4xx and 5xx in their logs and in "
        "penstock_http_request_duration_seconds.",
    ),
)
