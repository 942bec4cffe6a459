"""The firehose sink: lines, records, and the outcomes of events that share one."""

from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest

from service.event import Event
from service.outcome import DELIVERED, Reason, Rejected, Retry
from service.sinks.contract import Batch, Billed, ProbeError
from service.sinks.firehose import RECORDS, Firehose
from service.sinks.unpacking import inflated, unpack
from tests.contract.fake_aws import FakeAws, Refusal
from tests.contract.harness import event, sized

NO_ROOM = Retry(Reason.NO_ROOM, after=0)


@pytest.fixture
async def aws() -> AsyncIterator[FakeAws]:
    async with FakeAws() as fake:
        fake.delivery_streams["lake"] = []
        yield fake


def sink(aws: FakeAws, **settings: Any) -> Firehose:
    config = {"delivery_stream": "lake", "region": "eu-west-1", "endpoint_url": aws.url, **settings}
    return Firehose("lake", Firehose.Config(type="firehose", **config))


async def held(aws: FakeAws, *events: Event, **settings: Any) -> list[bytes]:
    """The records that one write of `events` makes."""
    async with sink(aws, **settings) as made:
        assert set(await made.write(Batch(events))) == {DELIVERED}
    return aws.delivery_streams["lake"]


async def test_events_are_lines_of_one_record(aws: FakeAws) -> None:
    assert await held(aws, event(0), event(1)) == [b'{"number":0}\n{"number":1}\n']


async def test_a_record_holds_what_fits_and_not_a_byte_more(aws: FakeAws) -> None:
    lines = [sized(event(n), 511) for n in range(4)]
    assert [len(record) for record in await held(aws, *lines, record_bytes=1024)] == [1024, 1024]
    aws.delivery_streams["lake"].clear()
    lines = [sized(event(n), 512) for n in range(3)]
    assert [len(record) for record in await held(aws, *lines, record_bytes=1024)] == [513, 513, 513]


@pytest.mark.parametrize("body", [b'{\n  "a": [1,\r\n2]\n}', b'{"a":\n[1,2]}\n', b'\r{"a":[1,2]}', b'{"a":[1,2]}\n'])
async def test_line_breaks_in_json_become_spaces_and_the_json_stays_the_same(aws: FakeAws, body: bytes) -> None:
    [record] = await held(aws, event(0, body))
    assert record.count(b"\n") == 1
    assert record.endswith(b"\n")
    assert b"\r" not in record
    assert orjson.loads(record) == {"a": [1, 2]}


@pytest.mark.parametrize("body", [b"two\nlines", b"two\r\nlines", b"two\rlines", b"two\nlines\n"])
async def test_other_bodies_with_line_breaks_are_rejected_and_harm_nothing_else(aws: FakeAws, body: bytes) -> None:
    events = [event(0), event(1, body, content_type="text/plain"), event(2)]
    async with sink(aws) as made:
        outcomes = await made.write(Batch(events))
    assert [type(outcome) for outcome in outcomes] == [type(DELIVERED), Rejected, type(DELIVERED)]
    assert aws.delivery_streams["lake"] == [b'{"number":0}\n{"number":2}\n']


async def test_a_text_that_is_a_line_already_stays_as_it_is(aws: FakeAws) -> None:
    assert await held(aws, event(0, b"a line\n", content_type="text/plain")) == [b"a line\n"]


async def test_only_unpackable_events_make_no_call(aws: FakeAws) -> None:
    async with sink(aws) as made:
        [outcome] = await made.write(Batch([event(0, b"two\nlines", content_type="text/csv")]))
    assert isinstance(outcome, Rejected)
    assert aws.calls == []


async def test_the_outcome_of_a_record_is_that_of_all_its_events(aws: FakeAws) -> None:
    aws.fail({1})
    async with sink(aws, record_bytes=1024) as made:
        outcomes = await made.write(Batch([sized(event(n), 511) for n in range(6)]))
    failed = Retry(Reason.UNAVAILABLE, detail="ServiceUnavailableException")
    assert list(outcomes) == [DELIVERED, DELIVERED, failed, failed, DELIVERED, DELIVERED]


async def test_events_beyond_the_last_record_have_no_room_whatever_becomes_of_the_call(aws: FakeAws) -> None:
    events = [sized(event(n), 600) for n in range(RECORDS + 2)]
    async with sink(aws, record_bytes=1024) as made:
        outcomes = await made.write(Batch(events))
        assert list(outcomes) == [DELIVERED] * RECORDS + [NO_ROOM] * 2
        aws.refusal = Refusal("InternalFailure", 500)
        outcomes = await made.write(Batch(events))
    assert outcomes[RECORDS:] == [NO_ROOM] * 2
    assert {outcome.reason for outcome in outcomes[:RECORDS] if isinstance(outcome, Retry)} == {Reason.INTERNAL}


async def test_an_array_is_a_line_unless_told_otherwise(aws: FakeAws) -> None:
    assert await held(aws, event(0), event(1), pack="json_array") == [b'[{"number":0},{"number":1}]\n']
    aws.delivery_streams["lake"].clear()
    assert await held(aws, event(0), pack="json_array", newline=False) == [b'[{"number":0}]']


async def test_a_record_holds_no_more_events_than_told(aws: FakeAws) -> None:
    assert [record.count(b"\n") for record in await held(aws, *map(event, range(5)), pack_events=2)] == [2, 2, 1]


@pytest.mark.parametrize("compress", ["gzip", "zstd"])
async def test_what_arrives_compressed_is_one_file_when_put_together(aws: FakeAws, compress: Any) -> None:
    events = [event(n) for n in range(300)]
    records = await held(aws, *events, compress=compress, record_bytes=1024)
    assert len(records) > 2
    assert unpack(inflated(b"".join(records), compress), "ndjson") == [each.body for each in events]


@pytest.mark.parametrize(("size", "billed"), [(0, 5120), (1, 5120), (5120, 5120), (5121, 10240)])
async def test_a_record_is_billed_in_steps_of_five_kibibytes(aws: FakeAws, size: int, billed: int) -> None:
    async with sink(aws, pack="none", newline=False) as made:
        assert isinstance(made, Billed)
        assert made.bill() == {"firehose_billed_bytes": 0, "firehose_records": 0}
        await made.write(Batch([event(0, b"x" * size)]))
        assert made.bill() == {"firehose_billed_bytes": billed, "firehose_records": 1}


async def test_only_what_was_acknowledged_is_on_the_bill(aws: FakeAws) -> None:
    async with sink(aws, pack="none") as made:
        aws.fail({0})
        await made.write(Batch([event(0), event(1), event(2)]))
        aws.refusal = Refusal("InternalFailure", 500)
        await made.write(Batch([event(3)]))
        assert made.bill() == {"firehose_billed_bytes": 2 * 5120, "firehose_records": 2}


async def test_unpacked_each_event_has_a_record_and_a_newline(aws: FakeAws) -> None:
    assert await held(aws, event(0, b"a\nb"), event(1, b"c\n"), pack="none") == [b"a\nb\n", b"c\n"]


async def test_without_a_newline_the_bytes_are_delivered_as_they_are(aws: FakeAws) -> None:
    assert await held(aws, event(0, b"a"), event(1, b""), pack="none", newline=False) == [b"a", b""]


def test_packing_waits_for_a_record_to_fill_unless_told_otherwise(aws: FakeAws) -> None:
    assert sink(aws)._config.linger == 0.1
    assert sink(aws, pack="none")._config.linger == 0.0
    assert sink(aws, linger="2s")._config.linger == 2.0


async def test_a_delivery_stream_given_by_arn_is_used_in_its_own_region(aws: FakeAws) -> None:
    arn = "arn:aws:firehose:eu-central-1:123456789012:deliverystream/lake"
    assert len(await held(aws, event(0), delivery_stream=arn)) == 1
    assert aws.calls[0].region == "eu-central-1"


@pytest.mark.parametrize(
    ("described", "told"),
    [
        ({"DeliveryStreamStatus": "CREATING"}, "is CREATING"),
        ({"DeliveryStreamType": "KinesisStreamAsSource"}, "only a Direct PUT stream"),
    ],
)
async def test_a_probe_says_why_a_delivery_stream_cannot_be_put_to(
    aws: FakeAws, described: dict[str, str], told: str
) -> None:
    aws.described = described
    async with sink(aws) as made:
        with pytest.raises(ProbeError, match=told):
            await made.probe()


async def test_a_probe_that_is_denied_names_the_permission(aws: FakeAws) -> None:
    aws.refusal = Refusal("AccessDeniedException")
    async with sink(aws) as made:
        with pytest.raises(ProbeError, match="allow firehose:DescribeDeliveryStream on it"):
            await made.probe()


@pytest.mark.parametrize(
    "settings",
    [
        {"delivery_stream": "a" * 65},
        {"delivery_stream": "arn:aws:firehose:eu-west-1:123456789012:stream/lake"},
        {"delivery_stream": "lake", "record_bytes": 1_024_001},
        {"delivery_stream": "lake", "pack": "parquet"},
    ],
    ids=str,
)
def test_settings_that_cannot_work_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="validation error"):
        Firehose.Config(type="firehose", **settings)
