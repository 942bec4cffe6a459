"""What an error of librdkafka or of a broker means for one event of the kafka sink."""

from typing import Final

from confluent_kafka import KafkaError

from service.kafka.errors import advice, reason_of
from service.outcome import Outcome, Reason, Rejected, Retry

UNCLEAR: Final = Retry(Reason.UNAVAILABLE, detail="the broker refused a record of the same message set")
"""The broker refused a whole message set for what is about one record: whose it is shows only one by one."""

ACCESS: Final = "allow this client Write and Describe on the topic, and IdempotentWrite where brokers ask it"


def refused(error: KafkaError, alone: bool) -> Outcome:
    """The outcome of an event that a *broker* answered with `error`; UNCLEAR if others were in its message set.

    Kafka protocol guide, error codes. A broker judges whole message sets. It does name the records that it finds
    invalid (KIP-467), but librdkafka reports INVALID_RECORD for all of the set when exactly one was named
    (2.16: `rd_kafka_msgbatch_handle_Produce_result_record_errors` and `rd_kafka_dr_msgq0`).
    """
    code = error.code()
    if code not in (KafkaError.INVALID_RECORD, KafkaError.MSG_SIZE_TOO_LARGE):
        return retry_for(error)
    if not alone:
        return UNCLEAR
    if code == KafkaError.MSG_SIZE_TOO_LARGE:
        return Rejected(Reason.TOO_LARGE, "larger than the topic's max.message.bytes")
    return Rejected(Reason.REFUSED_CONTENT, f"the broker refused the record: {error.str()}")


def retry_for(error: KafkaError) -> Retry:
    """The outcome of an event after trouble that is not its own."""
    reason = reason_of(error)
    hint = advice(reason, ACCESS)
    return Retry(reason, detail=f"{error.str()}; {hint}" if hint else error.str())
