"""The proxy itself: reads a call, lets its target decide, takes what is to be taken, and answers well or badly.

Control, over HTTP beside the calls: `PUT /_behaviour/NAME` (a `Behaviour` in JSON), `GET /_counts/NAME`,
`GET /_ledger/NAME/taken|attempts` (one byte for each event number), `GET /_takes/NAME` (each call that left something:
`[events, taken, answered]`).
"""

import asyncio
import contextlib
import time
from typing import Any, Self, assert_never

import msgspec
import orjson
from aiohttp import ClientSession, ClientTimeout, TCPConnector, web

from deploy.local.faultproxy import wire
from deploy.local.faultproxy.behaviour import Behaviour, Fault
from deploy.local.faultproxy.ledger import Take
from deploy.local.faultproxy.shards import shard_id
from deploy.local.faultproxy.target import Target

_MOST_BYTES = 32 * 2**20
_ACCOUNT = "000000000000"
Params = dict[str, Any]


class FaultProxy:
    """Serves at `url` inside `async with`. Without `upstream` it answers by itself, and every name exists."""

    def __init__(self, upstream: str | None = None, seed: int = 0) -> None:
        self.url = ""
        self._upstream = upstream
        self._seed = seed
        self._targets: dict[str, Target] = {}

    async def __aenter__(self) -> Self:
        self._session = ClientSession(connector=TCPConnector(limit=0), timeout=ClientTimeout(total=60))
        app = web.Application(client_max_size=_MOST_BYTES)
        app.router.add_put("/_behaviour/{name}", self._follow)
        app.router.add_get("/_counts/{name}", self._counts)
        app.router.add_get("/_ledger/{name}/{which:taken|attempts}", self._ledger)
        app.router.add_get("/_takes/{name}", self._takes)
        app.router.add_route("*", "/{tail:.*}", self._call)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1, access_log=None)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0, backlog=1024)
        await site.start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()
        await self._session.close()

    def target(self, name: str) -> Target:
        """The target of that name."""
        if name not in self._targets:
            self._targets[name] = Target(name, self._seed)
        return self._targets[name]

    # --- control

    async def _follow(self, request: web.Request) -> web.Response:
        behaviour = msgspec.json.decode(await request.read(), type=Behaviour)
        self.target(request.match_info["name"]).follow(behaviour)
        return web.Response(status=204)

    async def _counts(self, request: web.Request) -> web.Response:
        counts = self.target(request.match_info["name"]).counts()
        return web.Response(body=msgspec.json.encode(counts), content_type="application/json")

    async def _ledger(self, request: web.Request) -> web.Response:
        ledger = self.target(request.match_info["name"]).ledger
        return web.Response(body=bytes(ledger.taken if request.match_info["which"] == "taken" else ledger.attempts))

    async def _takes(self, request: web.Request) -> web.Response:
        takes = self.target(request.match_info["name"]).ledger.takes
        told = [(list(take.events), take.taken, take.answered) for take in takes]
        return web.Response(body=msgspec.json.encode(told), content_type="application/json")

    # --- calls

    async def _call(self, request: web.Request) -> web.StreamResponse:
        operation = request.headers.get("X-Amz-Target", "").partition(".")[2]
        body = await request.read()
        if not operation:
            return await self._forward(request, body)
        params = orjson.loads(body)
        target = self.target(wire.target_of(params))
        if operation in wire.PUTS:
            target.calls += 1
            if target.behaviour.dead:
                return _broken(request)
            async with target.served():
                return await self._put(request, operation, params, target)
        target.other_calls += 1
        if target.behaviour.dead:
            return _broken(request)
        if self._upstream is not None:
            return await self._forward(request, body)
        return _json(request, _TOLD[operation](self, params, target))

    async def _put(self, request: web.Request, operation: str, params: Params, target: Target) -> web.StreamResponse:
        fault, put = target.script.fault(), wire.PUTS[operation]
        match fault:
            case Fault.THROTTLED:
                return _error(request, 400, put.throttled)
            case Fault.FAILED:
                return _error(request, 500, put.internal)
            case Fault.UNAVAILABLE:
                return _error(request, 503, "ServiceUnavailable")
            case Fault.RESET:
                return _broken(request)
            case Fault.NONE | Fault.RESET_ANSWER | Fault.LATE | Fault.GARBAGE | Fault.HALF | Fault.MISCOUNTED:
                answer, take = await self._take(request, operation, params, target)
                response = await _told(request, fault, answer, put, target.behaviour.late)
                take.answered = time.monotonic()
                return response
            case _:
                assert_never(fault)

    async def _take(self, request: web.Request, operation: str, params: Params, target: Target) -> tuple[Params, Take]:
        """Take what the target takes; the answer about it, and what the ledger has of it."""
        put = wire.PUTS[operation]
        records = params[put.records]
        codes, events = target.judge(operation, records)
        kept = [record for index, record in enumerate(records) if index not in codes] if codes else records
        if self._upstream is None:
            first = target.records_taken + 1
            results = [
                wire.result(operation, record, first + index, shard_id(target.place(record)))
                for index, record in enumerate(kept)
            ]
        else:
            results = await self._upstream_results(request, put, params | {put.records: kept}) if kept else []
        take = target.note(events, codes)
        return wire.answer(operation, records, codes, results), take

    async def _upstream_results(self, request: web.Request, put: wire.Put, params: Params) -> list[Params]:
        forwarded = (await self._forward(request, orjson.dumps(params))).body
        assert isinstance(forwarded, bytes)
        answer = orjson.loads(forwarded)
        if answer.get(put.failed):
            raise web.HTTPInternalServerError(text="what is behind the proxy refuses records itself")
        results: list[Params] = answer[put.results]
        return results

    async def _forward(self, request: web.Request, body: bytes) -> web.Response:
        assert self._upstream is not None, "nothing is behind the proxy"
        dropped = ("content-length", "transfer-encoding", "content-encoding", "connection")
        headers = {name: value for name, value in request.headers.items() if name.lower() not in dropped}
        url = self._upstream + request.path_qs
        async with self._session.request(request.method, url, data=body, headers=headers) as found:
            told = {name: value for name, value in found.headers.items() if name.lower() not in dropped}
            return web.Response(status=found.status, body=await found.read(), headers=told)

    # --- what it tells by itself

    def _list_shards(self, params: Params, target: Target) -> Params:
        return {"Shards": target.shards()}

    def _describe_stream(self, params: Params, target: Target) -> Params:
        described = {"StreamName": params.get("StreamName", ""), "StreamStatus": "ACTIVE"}
        return {"StreamDescriptionSummary": {**described, "OpenShardCount": len(target.shards())}}

    def _describe_delivery_stream(self, params: Params, target: Target) -> Params:
        return {"DeliveryStreamDescription": {"DeliveryStreamStatus": "ACTIVE", "DeliveryStreamType": "DirectPut"}}

    def _queue_url(self, params: Params, target: Target) -> Params:
        return {"QueueUrl": f"{self.url}/{_ACCOUNT}/{params['QueueName']}"}

    def _queue_attributes(self, params: Params, target: Target) -> Params:
        return {"Attributes": {"MaximumMessageSize": str(2**20)}}


_TOLD = {
    "ListShards": FaultProxy._list_shards,
    "DescribeStreamSummary": FaultProxy._describe_stream,
    "DescribeDeliveryStream": FaultProxy._describe_delivery_stream,
    "GetQueueUrl": FaultProxy._queue_url,
    "GetQueueAttributes": FaultProxy._queue_attributes,
}


async def _told(
    request: web.Request, fault: Fault, answer: Params, put: wire.Put, late_seconds: float
) -> web.StreamResponse:
    """The answer, as far as `fault` lets it through."""
    if fault is Fault.MISCOUNTED:
        answer[put.results] = answer[put.results][:-1]
    body = orjson.dumps(answer)
    if fault is Fault.LATE:
        await asyncio.sleep(late_seconds)
    elif fault is Fault.GARBAGE:
        return web.Response(body=b"<html>it works</html>", content_type="text/html")
    elif fault is Fault.HALF:
        body = body[: len(body) // 2]
    elif fault is Fault.RESET_ANSWER:
        response = web.StreamResponse(headers={"Content-Length": str(len(body)), "Content-Type": request.content_type})
        with contextlib.suppress(ConnectionError):
            await response.prepare(request)
            await response.write(body[: len(body) // 2])
        _break(request)
        return response
    return web.Response(body=body, content_type=request.content_type)


def _json(request: web.Request, answer: Params) -> web.Response:
    return web.Response(body=orjson.dumps(answer), content_type=request.content_type)


def _error(request: web.Request, status: int, code: str) -> web.Response:
    body = orjson.dumps({"__type": code, "message": "injected"})
    return web.Response(status=status, body=body, content_type=request.content_type)


def _broken(request: web.Request) -> web.Response:
    _break(request)
    return web.Response(status=500)


def _break(request: web.Request) -> None:
    if request.transport is not None:
        request.transport.abort()
