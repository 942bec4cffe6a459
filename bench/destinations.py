"""The cheapest known ways to each destination: librdkafka for Kafka, calls built and signed by hand for AWS."""

import hmac
import socket
from base64 import b64encode
from collections.abc import Callable, Sequence
from hashlib import md5, sha256
from time import gmtime, strftime
from typing import Any, Self

import orjson
from confluent_kafka import Producer

Work = Callable[[], object]
TARGETS = {
    "kinesis": ("kinesis", "Kinesis_20131202.PutRecords"),
    "firehose": ("firehose", "Firehose_20150804.PutRecordBatch"),
    "sqs": ("sqs", "AmazonSQS.SendMessageBatch"),
}
SQS_ENTRIES = 10
RECORD_BYTES = 1_024_000
"""Of a packed Firehose record (Firehose API reference, PutRecordBatch)."""
AGGREGATE_BYTES = 51_200


def kafka(bootstrap: str, events: Sequence[bytes], keys: Sequence[str], headers: int) -> Work:
    """Produce all the events, each with as many headers, and wait for their acknowledgements."""
    producer = Producer(
        {"bootstrap.servers": bootstrap, "enable.idempotence": True, "acks": "all", "linger.ms": 0, "log_level": 0}
    )
    named: list[tuple[str, str | bytes | None]] = [(f"ce_{number}", "some-attribute") for number in range(headers)]
    messages = list(zip(events, keys, strict=True))

    def work() -> None:
        left = len(messages)

        def delivered(error: Any, _: Any) -> None:
            nonlocal left
            assert error is None, error
            left -= 1

        for event, key in messages:
            producer.produce("orders", event, key, headers=named, on_delivery=delivered)
        while left:
            producer.poll(1)

    return work


def aws(call: "Caller", events: Sequence[bytes], keys: Sequence[str]) -> tuple[Work, int]:
    """One call with as many of the events as it takes, and how many these are."""
    if call.name == "kinesis":
        rows = list(zip(events, keys, strict=True))

        def put() -> None:
            records = [
                b'{"Data":"' + b64encode(event) + b'","PartitionKey":"' + key.encode() + b'"}' for event, key in rows
            ]
            answer = call(b'{"StreamName":"orders","Records":[' + b",".join(records) + b"]}")
            assert len(answer["Records"]) == len(rows)

        return put, len(rows)
    if call.name == "firehose":
        packed = list(events) * (RECORD_BYTES // (sum(map(len, events)) + len(events)))

        def pack() -> None:
            record = b'{"Data":"' + b64encode(b"\n".join(packed) + b"\n") + b'"}'
            assert call(b'{"DeliveryStreamName":"orders","Records":[' + record + b"]}")["FailedPutCount"] == 0

        return pack, len(packed)
    few = events[:SQS_ENTRIES]

    def send() -> None:
        entries = [{"Id": str(index), "MessageBody": event.decode()} for index, event in enumerate(few)]
        body = orjson.dumps({"QueueUrl": f"{call.endpoint}/000000000000/orders", "Entries": entries})
        assert len(call(body)["Successful"]) == len(few)

    return send, len(few)


def aggregate(call: "Caller", events: Sequence[bytes], keys: Sequence[str]) -> Work:
    """One PutRecords of aggregated records (aggregation-format.md of the Kinesis Producer Library)."""
    each = AGGREGATE_BYTES // (len(events[0]) + 24)
    groups = [list(zip(events, keys, strict=True))[at : at + each] for at in range(0, len(events), each)]

    def put() -> None:
        records = []
        for group in groups:
            entries = [b"\x12\x010"]
            for index, (event, key) in enumerate(group):
                entries.append(b"\x0a" + _varint(len(key)) + key.encode())
                inner = b"\x08" + _varint(index) + b"\x10\x00\x1a" + _varint(len(event)) + event
                entries.append(b"\x1a" + _varint(len(inner)) + inner)
            message = b"".join(entries)
            data = b64encode(b"\xf3\x89\x9a\xc2" + message + md5(message).digest())
            records.append(b'{"Data":"' + data + b'","PartitionKey":"a","ExplicitHashKey":"0"}')
        answer = call(b'{"StreamName":"orders","Records":[' + b",".join(records) + b"]}")
        assert len(answer["Records"]) == len(groups)

    return put


def _varint(number: int) -> bytes:
    return bytes((number,)) if number < 128 else bytes((number & 127 | 128, number >> 7))


class Caller:
    """Calls of one destination over one keep-alive connection, signed (Signature Version 4)."""

    def __init__(self, endpoint: str, name: str) -> None:
        service, target = TARGETS[name]
        self.name = name
        self.endpoint = endpoint
        self._host = endpoint.removeprefix("http://")
        host, _, port = self._host.partition(":")
        self._socket = socket.create_connection((host, int(port)))
        self._target = target
        self._service = service
        key = b"AWS4test"
        for word in (strftime("%Y%m%d", gmtime()), "us-east-1", service, "aws4_request"):
            key = hmac.digest(key, word.encode(), "sha256")
        self._key = key

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def __call__(self, body: bytes) -> Any:
        """The parsed answer. Raises RuntimeError if it is not 200."""
        now = strftime("%Y%m%dT%H%M%SZ", gmtime())
        signed = "content-type;host;x-amz-date;x-amz-target"
        headers = (
            f"content-type:application/x-amz-json-1.1\nhost:{self._host}\n"
            f"x-amz-date:{now}\nx-amz-target:{self._target}\n"
        )
        canonical = f"POST\n/\n\n{headers}\n{signed}\n{sha256(body).hexdigest()}"
        scope = f"{now[:8]}/us-east-1/{self._service}/aws4_request"
        text = f"AWS4-HMAC-SHA256\n{now}\n{scope}\n{sha256(canonical.encode()).hexdigest()}"
        signature = hmac.digest(self._key, text.encode(), "sha256").hex()
        head = (
            f"POST / HTTP/1.1\r\n{headers.replace(chr(10), chr(13) + chr(10))}content-length: {len(body)}\r\n"
            f"authorization: AWS4-HMAC-SHA256 Credential=test/{scope}, SignedHeaders={signed}, Signature={signature}"
            "\r\n\r\n"
        )
        self._socket.sendall(head.encode() + body)
        return orjson.loads(self._answer())

    def _answer(self) -> bytes:
        data = self._socket.recv(1 << 18)
        while b"\r\n\r\n" not in data:
            data += self._socket.recv(1 << 18)
        head, _, body = data.partition(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 200"):
            raise RuntimeError(data[:500].decode(errors="replace"))
        length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
        while len(body) < length:
            body += self._socket.recv(1 << 18)
        return body
