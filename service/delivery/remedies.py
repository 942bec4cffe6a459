"""What to do next about each reason and state: one sentence for who is woken at night, as `docs/metrics.md` has it."""

from collections.abc import Mapping
from typing import Final

from service.outcome import Reason

_REPORT: Final = "Report it, with the log's exception."
_NETWORK: Final = "Look at the network and at call_timeout; expect duplicates."
_EVENT: Final = "Look at the dead letter: the event cannot be sent as it is."

REMEDIES: Final[Mapping[Reason, str]] = {
    Reason.THROTTLED: "Add shards, raise the quota, or spread the key.",
    Reason.UNAVAILABLE: "Wait, and look at the destination's own health.",
    Reason.UNREACHABLE: "Look at the network: security groups, region, endpoint_url, brokers.",
    Reason.INTERNAL: "Wait, and expect duplicates.",
    Reason.TIMEOUT: _NETWORK,
    Reason.CONNECTION_LOST: _NETWORK,
    Reason.BAD_ANSWER: "Look for a proxy in between.",
    Reason.ACCESS_DENIED: "Allow the role the actions of operate.md.",
    Reason.CREDENTIALS: "Look at the task's or pod's role, and at the trust policy of role_arn.",
    Reason.NOT_FOUND: "Create it, or correct its name.",
    Reason.ENCRYPTION: "Enable the key, and allow its use.",
    Reason.MISCONFIGURED: "Read detail in the log: its settings and ours disagree.",
    Reason.SINK_ERROR: _REPORT,
    Reason.NO_ROOM: _REPORT,
    Reason.SHUTDOWN: "Raise drain_timeout, or make the destination faster.",
    Reason.TOO_LARGE: _EVENT,
    Reason.REFUSED_CONTENT: _EVENT,
    Reason.PATIENCE_OVER: "Raise concurrency, or make the destination faster.",
    Reason.LANE_FULL: "Raise memory, or make the destination faster.",
    Reason.TOO_OLD: "Mend the destination, then penstock dlq replay.",
    Reason.ORPHANED: "Send it to a route there is: penstock dlq replay --to ROUTE.",
    Reason.NOT_STORED: "Look at the disk; see the journal.",
    Reason.INVALID: "Tell the producer.",
    Reason.RECEIVED_TOO_OFTEN: "Read the log of the times before, then penstock dlq replay.",
    Reason.WORKER_LOST: "Read the log: why it died.",
}

JOURNAL_FULL: Final = "Mend the sink for which most events wait; else raise journal.max_bytes, or free its disk."
JOURNAL_FAILING: Final = "Look at the journal's disk: errors, space, whether it is mounted."
SOURCE_FAILING: Final = "Mend what the reason says, in the words of the broker or queue; see sources.md."
LOOP_STUCK: Final = "Read the log where it says that the event loop is stuck: what blocks there must not."
WORKER_AWAY: Final = "Read the log: why the worker ended, hangs, or does not start."
