"""What the proxy reads and writes of three protocols: records in a put, results per record, errors of a call.

Sources: the API references of Kinesis (PutRecords), Firehose (PutRecordBatch) and SQS (SendMessageBatch).
"""

import base64
from collections.abc import Mapping, Sequence
from typing import Any, Final

from msgspec import Struct


class Put(Struct, frozen=True):
    """How an operation that puts records is written."""

    records: str
    """Member of the request that holds them."""
    results: str
    failed: str
    """Member of the answer that counts failures; of SQS, the list of them."""
    throttled: str
    """Code of a record, or of a call, that is throttled."""
    internal: str
    """Code of a failure inside the service."""


SQS: Final = "SendMessageBatch"
KINESIS: Final = "PutRecords"
PUTS: Final[Mapping[str, Put]] = {
    KINESIS: Put(
        "Records", "Records", "FailedRecordCount", "ProvisionedThroughputExceededException", "InternalFailure"
    ),
    "PutRecordBatch": Put(
        "Records", "RequestResponses", "FailedPutCount", "ServiceUnavailableException", "InternalFailure"
    ),
    SQS: Put("Entries", "Successful", "Failed", "RequestThrottled", "InternalError"),
}


def target_of(params: Mapping[str, Any]) -> str:
    """The name of the stream, delivery stream or queue that a call is about; empty if it names none."""
    for member in ("StreamName", "DeliveryStreamName", "QueueName"):
        if member in params:
            return str(params[member])
    address = params.get("QueueUrl") or params.get("StreamARN") or ""
    return str(address).rpartition("/")[2]


def data_of(record: Mapping[str, Any]) -> bytes:
    """What an entry of a put carries."""
    if "MessageBody" in record:
        return str(record["MessageBody"]).encode()
    return base64.b64decode(record["Data"])


def result(operation: str, record: Mapping[str, Any], number: int, shard: str) -> dict[str, Any]:
    """What an answer says of a record that was taken as the `number`-th."""
    if operation == KINESIS:
        return {"SequenceNumber": str(number), "ShardId": shard}
    if operation == SQS:
        return {"Id": record["Id"], "MessageId": str(number), "MD5OfMessageBody": "0" * 32}
    return {"RecordId": str(number)}


def answer(
    operation: str, records: Sequence[Mapping[str, Any]], codes: Mapping[int, str], taken: Sequence[dict[str, Any]]
) -> dict[str, Any]:
    """The answer to a put: `codes` of the records that failed, by position, and results of the others in order."""
    put = PUTS[operation]
    if operation == SQS:
        failed = [
            {"Id": records[index]["Id"], "SenderFault": False, "Code": code, "Message": "injected"}
            for index, code in codes.items()
        ]
        return {put.results: list(taken), put.failed: failed}
    left = iter(taken)
    results = [
        {"ErrorCode": codes[index], "ErrorMessage": "injected"} if index in codes else next(left)
        for index in range(len(records))
    ]
    return {put.failed: len(codes), put.results: results}
