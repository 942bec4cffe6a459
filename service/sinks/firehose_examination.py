"""What `penstock doctor` finds out about a delivery stream (Firehose API reference, DescribeDeliveryStream)."""

from collections.abc import AsyncIterator, Mapping
from typing import Any

from service.aws.examination import Refused, asked, clock, encryption, untried
from service.finding import Finding, ok, problem, warning


async def examined(client: Any, named: str, name: str) -> AsyncIterator[Finding]:
    """Existence, state, source, destination and key of the delivery stream."""
    what, region = f"delivery stream {named!r}", client.meta.region_name
    call = client.describe_delivery_stream(DeliveryStreamName=name)
    try:
        answer = await asked(call, "delivery stream", what, "firehose:DescribeDeliveryStream", region)
    except Refused as refused:
        for finding in refused.findings():
            yield finding
        return
    for finding in clock(answer, unless_ok=True):
        yield finding
    described = answer.get("DeliveryStreamDescription", {})
    yield _state(what, region, described)
    source = described.get("DeliveryStreamType", "DirectPut")
    if source == "DirectPut":
        yield ok("source", "Direct PUT")
    else:
        yield problem(
            "source", f"it reads from another source ({source})", "only a Direct PUT stream is put to: use another"
        )
    yield _destination(described)
    yield _encryption(described.get("DeliveryStreamEncryptionConfiguration", {}))
    yield ok("record size", "1,000 KiB, which is Firehose's own bound")
    yield untried("firehose:PutRecordBatch")


def _state(what: str, region: str, described: Mapping[str, Any]) -> Finding:
    status = described.get("DeliveryStreamStatus", "ACTIVE")
    if status == "ACTIVE":
        return ok("delivery stream", f"{what} in {region} is ACTIVE")
    failure = described.get("FailureDescription", {})
    why = f": {failure.get('Type')}: {failure.get('Details')}" if failure else ""
    return problem("delivery stream", f"{what} in {region} is {status}{why}", "it takes no records until it is ACTIVE")


def _destination(described: Mapping[str, Any]) -> Finding:
    kinds = [
        key.removesuffix("DestinationDescription")
        for each in described.get("Destinations") or ()
        for key in each
        if key.endswith("DestinationDescription") and key != "S3DestinationDescription"
    ]
    if described.get("Destinations") is not None and not described["Destinations"]:
        return warning("destination", "it has none", "give it one: what is put would go nowhere")
    return ok("destination", ", ".join(sorted(set(kinds))) or "S3")


def _encryption(found: Mapping[str, Any]) -> Finding:
    status = found.get("Status", "DISABLED")
    if status in ("ENABLING_FAILED", "DISABLING_FAILED"):
        failure = found.get("FailureDescription", {})
        return warning(
            "encryption",
            f"{status}: {failure.get('Type', '')}: {failure.get('Details', '')}",
            "check the key's state and its grants, and start the encryption again",
        )
    key = found.get("KeyARN") if found.get("KeyType") == "CUSTOMER_MANAGED_CMK" else None
    return encryption(key or ("alias/aws/firehose" if status == "ENABLED" else None), "kms:GenerateDataKey")
