"""A fake of SQS as its consumers see it: visibility, long polls, receipt handles, message groups; and it can fail.

It speaks the JSON protocol and keeps to the API reference: ten messages to a call, entries with distinct ids, one
result for each; no message of a group is handed out while another one of it is invisible.
"""

import asyncio
import json
import os
from base64 import b64encode
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Self
from unittest import mock

from aiohttp import web

from tests.contract.fake_aws import ENVIRONMENT, Answer, Refusal

MISSING = Refusal(
    "com.amazonaws.sqs#QueueDoesNotExist",
    headers={"x-amzn-query-error": "AWS.SimpleQueueService.NonExistentQueue;Sender"},
)


@dataclass(eq=False)
class Held:
    """One message in the queue."""

    id: str
    body: str
    group: str
    attributes: dict[str, Any]
    visible_at: float = 0.0
    receives: int = 0
    handle: str = ""


@dataclass
class Asked:
    """A call as it arrived."""

    operation: str
    params: Answer


@dataclass
class FakeSqs:
    """One queue at `url`, by its `name`; `exists` or not."""

    name: str = "incoming"
    exists: bool = True
    messages: list[Held] = field(default_factory=list)
    deleted: list[str] = field(default_factory=list)
    """Bodies, in order."""
    calls: list[Asked] = field(default_factory=list)
    most_invisible: int = 0
    refusals: dict[str, Refusal] = field(default_factory=dict)
    """By operation."""
    failing: frozenset[int] = frozenset()
    """Entries of each batch call, by position, that fail."""
    sender_fault: bool = False
    account: str = "123456789012"
    xray: str = ""
    """The AWSTraceHeader of every message."""
    polls: int = 0
    """Calls that wait for messages now."""

    async def __aenter__(self) -> Self:
        self._environment = mock.patch.dict(os.environ)
        self._environment.start()
        for name in [name for name in os.environ if name.startswith("AWS_")]:
            del os.environ[name]
        os.environ.update(ENVIRONMENT)
        self._changed = asyncio.Condition()
        self._number = 0
        self._loop = asyncio.get_running_loop()
        app = web.Application(client_max_size=2**24)
        app.router.add_post("/{tail:.*}", self._serve)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        await (site := web.TCPSite(self._runner, "127.0.0.1", 0)).start()
        del site
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()
        self._environment.stop()

    @property
    def _address(self) -> str:
        return f"{self.url}/{self.account}/{self.name}"

    @property
    def fifo(self) -> bool:
        return self.name.endswith(".fifo")

    async def send(
        self, bodies: Collection[bytes], group: str = "", attributes: Mapping[str, str | bytes] | None = None
    ) -> None:
        """Put messages into the queue."""
        given = {name: _attribute(value) for name, value in (attributes or {}).items()}
        for body in bodies:
            self._number += 1
            self.messages.append(Held(f"m-{self._number}", body.decode(), group, given))
        await self.change()

    async def change(self) -> None:
        """Wake those who wait for something to change."""
        async with self._changed:
            self._changed.notify_all()

    async def until(self, holds: Any) -> None:
        """Return once `holds()`."""
        async with asyncio.timeout(30), self._changed:
            await self._changed.wait_for(holds)

    def asked(self, operation: str) -> list[Answer]:
        """The calls of an operation."""
        return [call.params for call in self.calls if call.operation == operation]

    @property
    def invisible(self) -> list[Held]:
        """Messages that somebody has."""
        return [each for each in self.messages if each.visible_at > self._loop.time()]

    def show_all(self) -> None:
        """As if the time of everything that is invisible had passed."""
        for each in self.messages:
            each.visible_at = 0.0

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        operation = request.headers["X-Amz-Target"].partition(".")[2]
        params = json.loads(await request.read())
        self.calls.append(Asked(operation, params))
        try:
            if operation in self.refusals:
                raise self.refusals[operation]
            asked = params.get("QueueUrl", self._address)
            if not self.exists or asked != self._address or params.get("QueueName", self.name) != self.name:
                raise MISSING
            answer = await getattr(self, f"_{operation}")(params)
        except Refusal as refusal:
            told = json.dumps({"__type": refusal.code, "message": refusal.message}).encode()
            return web.Response(
                status=refusal.status, body=told, headers=refusal.headers, content_type="application/x-amz-json-1.0"
            )
        finally:
            await self.change()
        return web.Response(body=json.dumps(answer).encode(), content_type="application/x-amz-json-1.0")

    async def _GetQueueUrl(self, params: Answer) -> Answer:  # noqa: N802 - as SQS calls it
        del params
        return {"QueueUrl": self._address}

    async def _GetQueueAttributes(self, params: Answer) -> Answer:  # noqa: N802
        return {"Attributes": {"ApproximateNumberOfMessages": str(len(self.messages) - len(self.invisible))}}

    async def _ReceiveMessage(self, params: Answer) -> Answer:  # noqa: N802
        most = params["MaxNumberOfMessages"]
        if not 1 <= most <= 10 or not 0 <= params["WaitTimeSeconds"] <= 20:
            raise Refusal("InvalidParameterValue")
        self.polls += 1
        try:
            async with asyncio.timeout(params["WaitTimeSeconds"]), self._changed:
                self._changed.notify_all()
                await self._changed.wait_for(self._visible)
        except TimeoutError:
            return {}
        finally:
            self.polls -= 1
        found = self._visible()[:most]
        for each in found:
            each.receives += 1
            each.handle = f"{each.id}#{each.receives}"
            each.visible_at = self._loop.time() + params["VisibilityTimeout"]
        self.most_invisible = max(self.most_invisible, len(self.invisible))
        return {"Messages": [self._shown(each, params["AttributeNames"]) for each in found]}

    def _visible(self) -> list[Held]:
        invisible = self.invisible
        locked = {each.group for each in invisible} if self.fifo else set()
        return [each for each in self.messages if each not in invisible and each.group not in locked]

    def _shown(self, each: Held, asked: Collection[str]) -> Answer:
        attributes = {"ApproximateReceiveCount": str(each.receives)}
        if each.group:
            attributes["MessageGroupId"] = each.group
        if self.xray and "AWSTraceHeader" in asked:
            attributes["AWSTraceHeader"] = self.xray
        shown: Answer = {
            "MessageId": each.id,
            "ReceiptHandle": each.handle,
            "Body": each.body,
            "Attributes": attributes,
        }
        return shown | ({"MessageAttributes": each.attributes} if each.attributes else {})

    async def _DeleteMessageBatch(self, params: Answer) -> Answer:  # noqa: N802
        return self._batch(params, self._delete)

    async def _ChangeMessageVisibilityBatch(self, params: Answer) -> Answer:  # noqa: N802
        return self._batch(params, self._hide)

    def _batch(self, params: Answer, act: Any) -> Answer:
        entries = params["Entries"]
        if not 1 <= len(entries) <= 10 or len({entry["Id"] for entry in entries}) != len(entries):
            raise Refusal("AWS.SimpleQueueService.BatchEntryIdsNotDistinct")
        done: list[Answer] = []
        failures: list[Answer] = []
        for position, entry in enumerate(entries):
            own = next((each for each in self.messages if each.handle == entry["ReceiptHandle"]), None)
            if position in self.failing or own is None:
                fault = self.sender_fault if position in self.failing else True
                code = "InternalError" if not fault else "ReceiptHandleIsInvalid"
                failures.append({"Id": entry["Id"], "SenderFault": fault, "Code": code})
            else:
                act(own, entry)
                done.append({"Id": entry["Id"]})
        return {"Successful": done, "Failed": failures}

    def _delete(self, own: Held, entry: Answer) -> None:
        del entry
        self.messages.remove(own)
        self.deleted.append(own.body)

    def _hide(self, own: Held, entry: Answer) -> None:
        own.visible_at = self._loop.time() + entry["VisibilityTimeout"] if entry["VisibilityTimeout"] else 0.0


def _attribute(value: str | bytes) -> Answer:
    if isinstance(value, bytes):
        return {"DataType": "Binary", "BinaryValue": b64encode(value).decode()}
    return {"DataType": "String", "StringValue": value}
