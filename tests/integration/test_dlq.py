"""Dead letters the whole way: a running service writes them to each kind of sink, they are read back and sent again."""

import asyncio
import json
import os
import signal
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import ProxyHandler, Request, build_opener

import pytest

from deploy.local.emulator import isolated
from deploy.local.mock_cluster import MockCluster
from examples.quickstart.resources import Clients
from service.config import Config, load
from service.dlq import errand
from service.dlq.letter import Letter
from service.dlq.replay import WORKERS, Plan
from service.dlq.selection import Selection
from service.dlq.sender import Sender
from service.dlq.stores import Options
from tests.conservation import assert_conserved, samples
from tests.integration.command import COMMAND, Serving, environment, penstock

CONFIGURATION = """
aws: {region: us-east-1, endpoint_url: "%(endpoint)s"}
sinks:
  good: {type: file, path: good}
  dead_file: {type: file, path: dead, max_bytes: 2KiB}
  dead_sqs: {type: sqs, queue: dlq-letters}
  dead_packed: {type: sqs, queue: dlq-packed, pack: ndjson, compress: zstd}
  dead_kafka: {type: kafka, brokers: "%(brokers)s", topic: dlq-letters}
  dead_kinesis: {type: kinesis, stream: dlq-letters, aggregate: kpl}
  dead_firehose: {type: firehose, delivery_stream: dlq-letters}
routes:
  fixed: {to: [good]}
"""
ROUTE = """
  %(kind)s:
    to: [good]
    schema: {type: jsonschema, file: broken.json}
    dead_letter: {sink: dead_%(kind)s, invalid: true}
"""
STORES = ("file", "sqs", "packed", "kafka", "kinesis", "firehose")


class Shop:
    """The running service, and its configuration as `penstock dlq` reads it."""

    def __init__(self, serving: Serving, config: Config, folder: Path) -> None:
        self.serving = serving
        self.config = config
        self.folder = folder
        self.options = Options(folder / "penstock-dlq", writing=True)

    def break_events(self, route: str, ids: list[str]) -> None:
        """Post events that the route refuses."""
        body = json.dumps([_cloudevent(id) for id in ids]).encode()
        status, answer = self.post(route, body, {"Content-Type": "application/cloudevents-batch+json"})
        assert status == 422
        assert all(result["error"]["dead_lettered"] for result in answer["results"])

    def post(self, route: str, body: bytes, headers: dict[str, str]) -> tuple[int, Any]:
        """POST a body as it is. Returns status and answer."""
        request = Request(f"{self.serving.url}/v1/{route}", body, headers)
        try:
            with build_opener(ProxyHandler({})).open(request, timeout=60) as answer:
                return answer.status, json.load(answer)
        except HTTPError as answer:
            with answer:
                return answer.code, json.load(answer)

    def arrived(self) -> Counter[str]:
        """How often each id stands in the good folder."""
        lines = [line for path in (self.folder / "good").iterdir() for line in path.read_bytes().splitlines()]
        return Counter(json.loads(line)["id"] for line in lines)

    async def listed(self, kind: str, **selection: Any) -> list[Letter]:
        """The letters at one kind of sink that are not settled."""
        letters: list[Letter] = []
        options = Options(self.options.state)
        report = await errand.survey(
            self.config, f"dead_{kind}", options, Selection(**selection), None, lambda letter, _: letters.append(letter)
        )
        assert (report.trouble, report.strangers) == ("", 0)
        return letters

    async def replay(self, kind: str, to: str | None, **selection: Any) -> errand.Report:
        """Replay what is selected at one kind of sink."""
        plan = Plan(Selection(**selection), self.config.routes, to, f"dead_{kind}")
        async with Sender(self.serving.url, None, WORKERS) as sender:
            report = await errand.replay(self.config, self.options, sender, plan, lambda _: None)
        assert report.trouble == ""
        return report


def _cloudevent(id: str) -> dict[str, object]:
    return {"specversion": "1.0", "id": id, "source": "/shop", "type": "order", "data": {"id": id, "note": "x" * 300}}


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory, emulator: str) -> Iterator[Shop]:
    folder = tmp_path_factory.mktemp("dlq")
    (folder / "broken.json").write_text('{"type": "object", "required": ["never"]}')
    credentials = {name: value for name, value in isolated(os.environ).items() if name.startswith("AWS_")}
    asyncio.run(_create(emulator))
    with MockCluster(["dlq-letters"], 2, 1) as cluster, pytest.MonkeyPatch.context() as patch:
        text = CONFIGURATION % {"endpoint": emulator, "brokers": cluster.bootstrap}
        (folder / "penstock.yaml").write_text(text + "".join(ROUTE % {"kind": kind} for kind in STORES))
        for name, value in credentials.items():
            patch.setenv(name, value)
        with Serving("serve", folder=folder, more=credentials) as serving:
            yield Shop(serving, load(folder / "penstock.yaml", {}), folder)
            assert_conserved(samples(serving.get("/metrics")))
            serving.signal(signal.SIGTERM)
            serving.end_well()


async def _create(emulator: str) -> None:
    async with Clients(emulator) as aws:
        for queue in ("dlq-letters", "dlq-packed"):
            await aws.sqs.create_queue(QueueName=queue)
        await aws.kinesis.create_stream(StreamName="dlq-letters", ShardCount=2)
        await aws.s3.create_bucket(Bucket="dlq-letters")
        await aws.firehose.create_delivery_stream(
            DeliveryStreamName="dlq-letters",
            ExtendedS3DestinationConfiguration={
                "RoleARN": "arn:aws:iam::000000000000:role/firehose",
                "BucketARN": "arn:aws:s3:::dlq-letters",
                "Prefix": "letters/!{timestamp:yyyy}/",
            },
        )
        await aws.kinesis.get_waiter("stream_exists").wait(StreamName="dlq-letters", WaiterConfig={"Delay": 1})


@pytest.mark.parametrize("kind", STORES)
async def test_letters_are_listed_and_replayed_once_whatever_the_sink(shop: Shop, kind: str) -> None:
    ids = [f"{kind}-{number}" for number in range(12)]
    shop.break_events(kind, ids)
    async with asyncio.timeout(30):
        # an object behind a delivery stream takes its time
        while kind == "firehose" and len(await shop.listed(kind)) < len(ids):
            await asyncio.sleep(0.2)
    report = await shop.replay(kind, "fixed", id=ids[0])
    assert (report.tally.selected, report.tally.confirmed) == (1, 1)
    report = await shop.replay(kind, "fixed")
    assert (report.tally.selected, report.tally.confirmed, report.tally.complete) == (11, 11, True)
    again = await shop.replay(kind, "fixed")
    assert (again.tally.selected, again.tally.complete) == (0, True)
    assert {id: count for id, count in shop.arrived().items() if id in ids} == dict.fromkeys(ids, 1)


@pytest.mark.parametrize("kind", ["file", "sqs"])
async def test_what_is_refused_again_stays_a_letter_and_does_not_multiply(shop: Shop, kind: str) -> None:
    ids = [f"again-{kind}-{number}" for number in range(3)]
    shop.break_events(kind, ids)
    report = await shop.replay(kind, None)
    assert (report.tally.confirmed, report.tally.complete) == (0, False)
    assert report.tally.replaced + report.tally.refused.total() == report.tally.selected >= 3
    assert sorted(letter.id for letter in await shop.listed(kind)) == ids
    # at once after the list, which has given back what it had borrowed
    assert (await errand.purge(shop.config, f"dead_{kind}", shop.options, Selection(reason="invalid"))).found == 3
    assert (await errand.purge(shop.config, f"dead_{kind}", shop.options, Selection())).found == 0


async def test_an_event_without_an_envelope_and_one_in_binary_mode_are_the_same_events_again(shop: Shop) -> None:
    status, answer = shop.post("file", b'{"plain": true}', {"Content-Type": "application/json"})
    assert status == 422
    plain = answer["results"][0]["id"]
    headers = {"ce-specversion": "1.0", "ce-id": "b%20%C3%A9", "ce-source": "/shop", "ce-type": "order"}
    assert shop.post("file", b'{"binary":1}', headers | {"Content-Type": "application/json"})[0] == 422
    report = await shop.replay("file", "fixed")
    assert report.tally.confirmed == 2
    lines = [json.loads(line) for path in (shop.folder / "good").iterdir() for line in path.read_bytes().splitlines()]
    found = {line["id"]: line for line in lines}
    assert found[plain]["data"] == {"plain": True}
    assert found["b é"] == {
        "specversion": "1.0",
        "id": "b é",
        "source": "/shop",
        "type": "order",
        "datacontenttype": "application/json",
        "data": {"binary": 1},
    }


def test_a_replay_that_is_killed_half_way_is_resumed_without_sending_twice_what_was_confirmed(shop: Shop) -> None:
    ids = [f"killed-{number}" for number in range(40)]
    shop.break_events("file", ids)
    command = [*COMMAND, "dlq", "replay", "--route", "file", "--to", "fixed", "--url", shop.serving.url]
    begun = _settled(shop)
    child = subprocess.Popen(
        [*command, "--rate", "30/s"], cwd=shop.folder, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    try:
        while _settled(shop) < begun + 10:
            assert child.poll() is None, child.communicate()
    finally:
        child.kill()
        child.communicate()
    settled = _settled(shop) - begun
    before = shop.arrived()
    done = penstock(*command[len(COMMAND) :], folder=shop.folder)
    assert done.returncode == 0, done.stderr
    arrived = {id: count for id, count in shop.arrived().items() if id in ids}
    assert arrived.keys() == set(ids)
    twice = [id for id, count in arrived.items() if count > 1]
    assert len(twice) <= WORKERS, "only what was on its way, and not confirmed, may be sent again"
    sent_before = sum(before[id] for id in ids)
    assert len(ids) > sent_before >= settled >= 10
    assert len(twice) <= sent_before - settled, "something was sent again that had been confirmed"
    assert "0 letters selected" in penstock(*command[len(COMMAND) :], folder=shop.folder).stderr


def _settled(shop: Shop) -> int:
    """How many letters of the file sink have been settled, ever."""
    return sum(path.read_bytes().count(b"+") for path in shop.options.state.glob("dead_file-*.settled"))


def test_the_command_says_what_it_did_and_what_is_left(shop: Shop) -> None:
    shop.break_events("file", ["told"])
    listed = penstock("dlq", "list", "--route", "file", folder=shop.folder)
    assert listed.returncode == 0, listed.stderr
    assert "told" in listed.stdout
    assert "1 letter\n" in listed.stderr
    shown = penstock("dlq", "show", "told", "--sink", "dead_file", "--body", folder=shop.folder)
    assert json.loads(shown.stdout) == _cloudevent("told")
    refused = penstock("dlq", "replay", "--route", "file", "--url", shop.serving.url, folder=shop.folder)
    assert refused.returncode == 1
    assert "1 refused again, and replaced by the letter that the service has written now" in refused.stderr
    assert penstock("dlq", "purge", "--route", "file", "--yes", folder=shop.folder).returncode == 0


@pytest.mark.parametrize("kind", ["kafka", "kinesis", "firehose"])
async def test_a_store_that_cannot_delete_says_so(shop: Shop, kind: str) -> None:
    report = await errand.purge(shop.config, f"dead_{kind}", shop.options, Selection())
    assert "cannot delete single letters" in report.trouble
