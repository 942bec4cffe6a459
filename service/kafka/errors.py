"""What an error of librdkafka or of a broker means: the reason, and what an operator can do."""

import re
from collections.abc import Iterable
from typing import Final

from confluent_kafka import KafkaError

from service.outcome import Reason

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
_OF_CONNECTIONS: Final = frozenset({KafkaError._TRANSPORT, KafkaError._SSL})
_REASON_OF: Final = {code: reason for reason, codes in _REASONS.items() for code in codes}

_ADVICE: Final = {
    Reason.CREDENTIALS: "check the `sasl.*` and `ssl.*` entries of `properties`, or `auth` and `tls`",
    Reason.NOT_FOUND: "create the topic, or correct `topic`",
    Reason.UNREACHABLE: "check `brokers`, the network between, and whether `tls` or `security.protocol` fits the port",
}


_CERTIFICATE_REFUSED: Final = re.compile(
    r"alert (bad certificate|certificate (unknown|required|expired|revoked)|unsupported certificate|unknown ca"
    r"|access denied)"
)
"""How OpenSSL writes the alerts of RFC 8446 §6 with which a broker refuses a client's certificate. In TLS 1.3 they come
when the handshake is over for the client, as trouble of the connection."""


def reason_of(error: KafkaError) -> Reason:
    """The reason of an error that is the destination's; what we do not know may have been written."""
    if error.code() in _OF_CONNECTIONS and _CERTIFICATE_REFUSED.search(error.str()):
        return Reason.CREDENTIALS
    return _REASON_OF.get(error.code(), Reason.INTERNAL)


def advice(reason: Reason, access: str) -> str:
    """What to do about it, as the end of a sentence; empty if there is nothing to say. `access`: what to allow."""
    return access if reason is Reason.ACCESS_DENIED else _ADVICE.get(reason, "")
