"""What an error of librdkafka or of a broker means for one event: the outcome, and what an operator can do."""

from collections.abc import Iterable
from typing import Final

from confluent_kafka import KafkaError

from service.outcome import Outcome, Reason, Rejected, Retry

ALONE_BYTES: Final = 128 * 1024
"""librdkafka's `batch.size` here: an event of at least this size is always in a message set of its own."""

_REASONS: Final[dict[Reason, Iterable[int]]] = {
    Reason.ACCESS_DENIED: (
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.CLUSTER_AUTHORIZATION_FAILED,
        KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
    ),
    Reason.CREDENTIALS: (KafkaError._AUTHENTICATION, KafkaError.SASL_AUTHENTICATION_FAILED),
    Reason.NOT_FOUND: (
        KafkaError.UNKNOWN_TOPIC_OR_PART,
        KafkaError.UNKNOWN_TOPIC_ID,
        KafkaError._UNKNOWN_TOPIC,
        KafkaError._UNKNOWN_PARTITION,
    ),
    Reason.TIMEOUT: (KafkaError._MSG_TIMED_OUT, KafkaError._TIMED_OUT, KafkaError.REQUEST_TIMED_OUT),
    Reason.CONNECTION_LOST: (
        KafkaError._TRANSPORT,
        KafkaError.NETWORK_EXCEPTION,
        KafkaError._PURGE_INFLIGHT,
        KafkaError._DESTROY,
    ),
    Reason.UNREACHABLE: (KafkaError._ALL_BROKERS_DOWN, KafkaError._RESOLVE, KafkaError._SSL),
    Reason.THROTTLED: (KafkaError.THROTTLING_QUOTA_EXCEEDED,),
    # refused before anything was appended
    Reason.UNAVAILABLE: (
        KafkaError._QUEUE_FULL,
        KafkaError._PURGE_QUEUE,
        KafkaError._TIMED_OUT_QUEUE,
        KafkaError._INVALID_DIFFERENT_RECORD,
        # raised by `produce` of a producer that failed for good: this event was not taken
        KafkaError._FATAL,
        KafkaError.NOT_ENOUGH_REPLICAS,
        KafkaError.LEADER_NOT_AVAILABLE,
        KafkaError.NOT_LEADER_FOR_PARTITION,
        KafkaError.BROKER_NOT_AVAILABLE,
        KafkaError.KAFKA_STORAGE_ERROR,
    ),
    Reason.MISCONFIGURED: (
        KafkaError.MSG_SIZE_TOO_LARGE,
        KafkaError.RECORD_LIST_TOO_LARGE,
        KafkaError.INVALID_TIMESTAMP,
        KafkaError.INVALID_REQUIRED_ACKS,
        KafkaError.POLICY_VIOLATION,
        KafkaError.TOPIC_EXCEPTION,
        KafkaError.UNSUPPORTED_COMPRESSION_TYPE,
        KafkaError.UNSUPPORTED_FOR_MESSAGE_FORMAT,
        KafkaError.UNSUPPORTED_VERSION,
        KafkaError._INVALID_ARG,
    ),
}
_REASON_OF: Final = {code: reason for reason, codes in _REASONS.items() for code in codes}

_ADVICE: Final = {
    Reason.ACCESS_DENIED: "allow this client Write and Describe on the topic, and IdempotentWrite where brokers ask it",
    Reason.CREDENTIALS: "check the `sasl.*` and `ssl.*` entries of `properties`",
    Reason.NOT_FOUND: "create the topic, or correct `topic`",
    Reason.UNREACHABLE: "check `brokers`, the network between, and whether `security.protocol` fits the port",
}


def reason_of(error: KafkaError) -> Reason:
    """The reason of an error that is the destination's; what we do not know may have been written."""
    return _REASON_OF.get(error.code(), Reason.INTERNAL)


def advice(reason: Reason) -> str:
    """What to do about it, as the end of a sentence; empty if there is nothing to say."""
    return _ADVICE.get(reason, "")


def refused(error: KafkaError, wire_bytes: int) -> Outcome:
    """The outcome of an event of about `wire_bytes` that a *broker* answered with `error`.

    Kafka protocol guide, error codes. A broker judges a whole message set: MESSAGE_TOO_LARGE is about this
    event only if it was alone in its set; INVALID_RECORD names the records it means (KIP-467), and librdkafka
    reports the others as _INVALID_DIFFERENT_RECORD.
    """
    code = error.code()
    if code == KafkaError.INVALID_RECORD:
        return Rejected(Reason.REFUSED_CONTENT, f"the broker refused the record: {error.str()}")
    if code == KafkaError.MSG_SIZE_TOO_LARGE:
        detail = "larger than the topic's max.message.bytes"
        if wire_bytes >= ALONE_BYTES:
            return Rejected(Reason.TOO_LARGE, detail)
        return Retry(Reason.MISCONFIGURED, detail=f"a message set of up to {ALONE_BYTES} B is {detail}; raise that")
    return unsent(error)


def unsent(error: KafkaError) -> Retry:
    """The outcome of an event after trouble that is not its own."""
    reason = reason_of(error)
    hint = advice(reason)
    return Retry(reason, detail=f"{error.str()}; {hint}" if hint else error.str())
