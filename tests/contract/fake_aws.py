"""One fake of Kinesis, Firehose, SQS and STS that speaks their wire protocols, holds what it took, and can fail.

It refuses what the services refuse (limits of the API references), so a sink that oversteps a limit fails its
contract. A fault lasts, for each call that begins, until `recover()`.
"""

import asyncio
import base64
import json
import os
import re
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Any, Self, TypeVar
from unittest import mock

from aiohttp import web

from tests.contract import fake_sts
from tests.contract.fake_message import unfit
from tests.contract.fake_shards import FakeShards
from tests.contract.fake_sts import Call

_SCOPE = re.compile(r"AWS4-HMAC-SHA256 Credential=([^/]+)/\d{8}/([^/]+)/([^/]+)/aws4_request")
_MIB = 2**20
ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "fake-key",
    "AWS_SECRET_ACCESS_KEY": "fake-secret",
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
}
"""All the AWS settings there are while the fake runs; the machine's own are hidden."""

Answer = dict[str, Any]
Held = TypeVar("Held")


@dataclass(frozen=True)
class Refusal(Exception):
    """An error answer: HTTP status, code, and headers beside it."""

    code: str
    status: int = 400
    headers: dict[str, str] = field(default_factory=dict)
    message: str = "no"
    raw: bytes | None = None
    """The body instead of the protocol's JSON, as a proxy in between would answer."""


class FakeAws:
    """The services at `url`. Streams, delivery streams and queues that are not in its dicts do not exist."""

    def __init__(self) -> None:
        self.streams: dict[str, list[tuple[str, bytes]]] = {}
        self.delivery_streams: dict[str, list[bytes]] = {}
        self.queues: dict[str, list[Answer]] = {}
        self.shards = FakeShards()
        """Those of each stream."""
        self.calls: list[Call] = []
        self.described: Answer = {}
        """Members added to the description of a stream or delivery stream, or attributes of a queue."""
        self.record_code = ""
        """The code of records and entries that fail; empty for each service's usual one."""
        self.sender_fault = False
        self.contradiction = 0
        """Added to the count of failures that stands beside the results."""
        self.role_refusal: Refusal | None = None
        self.roles_expire = "2099-01-01T00:00:00Z"
        self.roles_given = 0
        """How often a role was assumed; each time it has another session token."""
        self.denied: set[str] = set()
        """Operations that the caller may not use."""
        self.failing: frozenset[int] = frozenset()
        self.refusal: Refusal | None = None
        self.short = False
        """Take all, and answer with one result too few."""
        self.date = ""
        """What answers have as `Date`; empty for the time."""
        self.iam_words = "no"
        """What is said to a caller who is denied something."""
        self.arn = "arn:aws:sts::123456789012:assumed-role/penstock/task"
        """Who the caller is."""
        self.resets = False
        """Break the connection after the request has been read."""
        self._let_go: asyncio.Event | None = None
        self._begun: asyncio.Future[None] | None = None

    async def __aenter__(self) -> Self:
        self._environment = mock.patch.dict(os.environ)
        self._environment.start()
        for name in [name for name in os.environ if name.startswith("AWS_")]:
            del os.environ[name]
        os.environ.update(ENVIRONMENT)
        app = web.Application(client_max_size=32 * _MIB)
        app.router.add_post("/{tail:.*}", self._serve)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self.recover()
        await self._runner.cleanup()
        self._environment.stop()

    def recover(self) -> None:
        """End all faults, and let go of what hangs."""
        self.failing, self.refusal, self.short, self.resets = frozenset(), None, False, False
        if self._let_go is not None:
            self._let_go.set()
        self._let_go = self._begun = None

    def fail(self, positions: Collection[int]) -> None:
        """Records or entries at these positions of each call fail."""
        self.failing = frozenset(positions)

    def hang(self) -> asyncio.Future[None]:
        """Calls get no answer and take nothing. The result is done once one has begun to wait."""
        self._let_go = asyncio.Event()
        self._begun = asyncio.get_running_loop().create_future()
        return self._begun

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        if self._let_go is not None and self._begun is not None:
            if not self._begun.done():
                self._begun.set_result(None)
            await self._let_go.wait()
            return web.Response(status=500)
        scope = _SCOPE.match(request.headers.get("Authorization", ""))
        if scope is None:
            return _error(Refusal("MissingAuthenticationTokenException"))
        if scope[3] == "sts":
            return self._dated(fake_sts.answered(self, await request.post(), scope[1], scope[2]))
        operation = request.headers["X-Amz-Target"].partition(".")[2]
        params = json.loads(body)
        token = request.headers.get("X-Amz-Security-Token", "")
        self.calls.append(Call(operation, params, scope[1], scope[2], token))
        if self.resets:
            assert request.transport is not None
            request.transport.abort()
            return web.Response(status=500)
        try:
            if operation in self.denied:
                raise Refusal("AccessDeniedException", message=self.iam_words)
            if self.refusal is not None:
                raise self.refusal
            answer = _OPERATIONS[operation](self, params)
        except Refusal as refusal:
            return self._dated(_error(refusal))
        return self._dated(web.Response(body=json.dumps(answer).encode(), content_type=request.content_type))

    def _dated(self, answer: web.Response) -> web.Response:
        if self.date:
            answer.headers["Date"] = self.date
        return answer

    # --- Kinesis

    def _put_records(self, params: Answer) -> Answer:
        held = _find(self.streams, params.get("StreamName") or params["StreamARN"].rpartition("/")[2])
        sizes = [len(base64.b64decode(r["Data"])) + len(r["PartitionKey"].encode()) for r in params["Records"]]
        allowed = self.described.get("MaxRecordSizeInKiB", 1024) * 1024
        keys = [len(r["PartitionKey"]) for r in params["Records"]]
        if not 1 <= len(sizes) <= 500 or max(sizes) > allowed or sum(sizes) > 10 * _MIB:
            raise Refusal("InvalidArgumentException")
        if not all(1 <= length <= 256 for length in keys):
            raise Refusal("ValidationException")
        results: list[Answer] = []
        for record, failed in self._each(params["Records"]):
            if failed:
                results.append({"ErrorCode": self.record_code or "ProvisionedThroughputExceededException"})
            else:
                held.append((record["PartitionKey"], base64.b64decode(record["Data"])))
                results.append({"SequenceNumber": str(len(held)), "ShardId": self.shards.take(record)})
        failures = sum("ErrorCode" in result for result in results)
        return {"FailedRecordCount": failures + self.contradiction, "Records": results[:-1] if self.short else results}

    def _list_shards(self, params: Answer) -> Answer:
        if "NextToken" not in params:
            _find(self.streams, params.get("StreamName") or params["StreamARN"].rpartition("/")[2])
        elif "StreamName" in params:
            raise Refusal("InvalidArgumentException")
        return self.shards.listed(params)

    def _describe_stream(self, params: Answer) -> Answer:
        name = params.get("StreamName") or params["StreamARN"].rpartition("/")[2]
        _find(self.streams, name)
        return {"StreamDescriptionSummary": {"StreamName": name, "StreamStatus": "ACTIVE", **self.described}}

    # --- Firehose

    def _put_record_batch(self, params: Answer) -> Answer:
        held = _find(self.delivery_streams, params["DeliveryStreamName"])
        sizes = [len(base64.b64decode(r["Data"])) for r in params["Records"]]
        if not 1 <= len(sizes) <= 500 or max(sizes) > 1_024_000 or sum(sizes) > 4 * _MIB:
            raise Refusal("InvalidArgumentException")
        results: list[Answer] = []
        for record, failed in self._each(params["Records"]):
            if failed:
                results.append({"ErrorCode": self.record_code or "ServiceUnavailableException"})
            else:
                held.append(base64.b64decode(record["Data"]))
                results.append({"RecordId": f"record-{len(held)}"})
        failures = sum("ErrorCode" in result for result in results)
        return {"FailedPutCount": failures, "RequestResponses": results[:-1] if self.short else results}

    def _describe_delivery_stream(self, params: Answer) -> Answer:
        _find(self.delivery_streams, params["DeliveryStreamName"])
        described = {"DeliveryStreamStatus": "ACTIVE", "DeliveryStreamType": "DirectPut", **self.described}
        return {"DeliveryStreamDescription": described}

    # --- SQS

    def _send_message_batch(self, params: Answer) -> Answer:
        name = params["QueueUrl"].rpartition("/")[2]
        held = self._queue(name)
        entries = params["Entries"]
        ids = {entry["Id"] for entry in entries}
        if not 1 <= len(entries) <= 10:
            raise Refusal("AWS.SimpleQueueService.TooManyEntriesInBatchRequest")
        if len(ids) != len(entries) or not all(re.fullmatch(r"[\w-]{1,80}", each, re.ASCII) for each in ids):
            raise Refusal("AWS.SimpleQueueService.BatchEntryIdsNotDistinct")
        if sum(len(entry["MessageBody"].encode()) for entry in entries) > _MIB:
            raise Refusal("AWS.SimpleQueueService.BatchRequestTooLong")
        taken: list[Answer] = []
        failures: list[Answer] = []
        for entry, failed in self._each(entries):
            code = self.record_code or "InternalError" if failed else unfit(entry, name)
            if code:
                fault = self.sender_fault if failed else True
                failures.append({"Id": entry["Id"], "SenderFault": fault, "Code": code})
                continue
            once = entry.get("MessageDeduplicationId")
            if once is None or all(each["MessageDeduplicationId"] != once for each in held):
                held.append(entry)
            taken.append({"Id": entry["Id"], "MessageId": str(len(held)), "MD5OfMessageBody": "0" * 32})
        return {"Successful": taken[:-1] if self.short else taken, "Failed": failures}

    def _get_queue_url(self, params: Answer) -> Answer:
        self._queue(params["QueueName"])
        return {"QueueUrl": f"{self.url}/123456789012/{params['QueueName']}"}

    def _get_queue_attributes(self, params: Answer) -> Answer:
        self._queue(params["QueueUrl"].rpartition("/")[2])
        return {"Attributes": {"MaximumMessageSize": str(_MIB), **self.described}}

    def _queue(self, name: str) -> list[Answer]:
        if name not in self.queues:
            legacy = {"x-amzn-query-error": "AWS.SimpleQueueService.NonExistentQueue;Sender"}
            raise Refusal("com.amazonaws.sqs#QueueDoesNotExist", headers=legacy)
        return self.queues[name]

    def _each(self, items: list[Answer]) -> list[tuple[Answer, bool]]:
        return [(item, index in self.failing) for index, item in enumerate(items)]


_OPERATIONS: dict[str, Callable[[FakeAws, Answer], Answer]] = {
    "PutRecords": FakeAws._put_records,
    "ListShards": FakeAws._list_shards,
    "DescribeStreamSummary": FakeAws._describe_stream,
    "PutRecordBatch": FakeAws._put_record_batch,
    "DescribeDeliveryStream": FakeAws._describe_delivery_stream,
    "SendMessageBatch": FakeAws._send_message_batch,
    "GetQueueUrl": FakeAws._get_queue_url,
    "GetQueueAttributes": FakeAws._get_queue_attributes,
}


def _find(held: dict[str, list[Held]], name: str) -> list[Held]:
    if name not in held:
        raise Refusal("ResourceNotFoundException")
    return held[name]


def _error(refusal: Refusal) -> web.Response:
    told = json.dumps({"__type": refusal.code, "message": refusal.message}).encode()
    body = told if refusal.raw is None else refusal.raw
    headers = {"x-amzn-RequestId": "request-1", **refusal.headers}
    return web.Response(status=refusal.status, body=body, headers=headers, content_type="application/x-amz-json-1.1")
