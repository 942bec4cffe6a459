"""What `penstock doctor` finds out about a Kinesis data stream (Kinesis API reference, DescribeStreamSummary)."""

from collections.abc import AsyncIterator, Mapping
from typing import Any

from service.aws.advice import advice
from service.aws.examination import Refused, asked, clock, encryption, untried
from service.aws.shardmap import ShardMap, Unknown
from service.finding import Finding, note, ok, problem, warning
from service.units import counted, format_size

AUTOMATIC = (
    "the stream spreads records itself (RecordDistributionStrategy AUTO): consumers would drop aggregated events; "
    "set `aggregate: none`, or the stream's strategy to USER_PARTITION_KEY"
)


async def examined(
    client: Any, stream: str, target: Mapping[str, str], shards: ShardMap, record_bytes: int, aggregates: bool
) -> AsyncIterator[Finding]:
    """Existence, state, shards, record size and key of the stream; nothing more once it cannot be asked."""
    what, region = f"stream {stream!r}", client.meta.region_name
    call = client.describe_stream_summary(**target)
    try:
        answer = await asked(call, "stream", what, "kinesis:DescribeStreamSummary", region)
    except Refused as refused:
        for finding in refused.findings():
            yield finding
        return
    for finding in clock(answer, unless_ok=True):
        yield finding
    summary = answer.get("StreamDescriptionSummary", {})
    yield _state(what, region, str(summary.get("StreamStatus", "ACTIVE")))
    yield _shards(summary)
    shards.learn_strategy(summary)
    if aggregates and shards.automatic:
        yield problem("aggregation", AUTOMATIC)
    try:
        await shards.look_up()
        yield ok("shard map", "kinesis:ListShards is allowed: each shard has a queue and a rate of its own")
    except Unknown as unknown:
        told = advice(unknown.retry, what, unknown.action, region)
        if aggregates:
            yield problem("shard map", told, "nothing is aggregated until the shards are known")
        else:
            yield warning("shard map", told, "without it a hot shard slows the others, for none has a rate of its own")
    yield _record_size(summary, record_bytes)
    yield encryption(summary.get("KeyId") if summary.get("EncryptionType") == "KMS" else None, "kms:GenerateDataKey")
    yield untried("kinesis:PutRecords")


def _state(what: str, region: str, status: str) -> Finding:
    if status in ("ACTIVE", "UPDATING"):
        return ok("stream", f"{what} in {region} is {status}")
    return problem(
        "stream", f"{what} in {region} is {status}", "it takes no records until it is ACTIVE: wait, or create it"
    )


def _shards(summary: Mapping[str, Any]) -> Finding:
    mode = summary.get("StreamModeDetails", {}).get("StreamMode", "")
    count = summary.get("OpenShardCount")
    if count is None:
        return note("shards", "their number is not told")
    if mode == "ON_DEMAND":
        return ok("shards", f"on-demand, {counted(count, 'open shard')} now; it grows by itself")
    return ok(
        "shards", f"provisioned, {counted(count, 'open shard')}: together {count} MB/s and {count * 1000:,} records/s"
    )


def _record_size(summary: Mapping[str, Any], ours: int) -> Finding:
    allowed = int(summary.get("MaxRecordSizeInKiB", 1024)) * 1024
    if allowed < ours:
        return problem(
            "record size",
            f"the stream takes {format_size(allowed)}, and `max_record` is {format_size(ours)}",
            "lower `max_record`, or raise the stream's MaxRecordSizeInKiB: larger events would be refused for good",
        )
    if allowed > ours:
        return note("record size", f"the stream takes {format_size(allowed)}; `max_record` is {format_size(ours)}")
    return ok("record size", f"{format_size(ours)}, as the stream's")
