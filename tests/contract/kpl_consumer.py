"""Consumers of a stream with aggregated records: AWS's own deaggregation for Python, and the Java KCL's filter."""

import base64
import hashlib
from collections.abc import Iterable
from typing import Any

from aws_kinesis_agg.deaggregator import iter_deaggregate_records
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

from tests.contract.fake_shards import FakeShard, md5_of
from tests.contract.harness import Received

_FIELD = descriptor_pb2.FieldDescriptorProto
_MAGIC = bytes([0xF3, 0x89, 0x9A, 0xC2])


def consumed(records: Iterable[tuple[str, bytes]]) -> list[Received]:
    """The user records in records of a stream (partition key and data), as `aws_kinesis_agg` finds them."""
    raw = [
        {"PartitionKey": key, "Data": data, "SequenceNumber": "1", "ApproximateArrivalTimestamp": 1}
        for key, data in records
    ]
    found = [each["kinesis"] for each in iter_deaggregate_records(raw, data_format="Boto3")]
    return [
        Received(base64.b64decode(each["data"]) if each.get("aggregated") else each["data"], each["partitionKey"])
        for each in found
    ]


def message(data: bytes) -> Any:
    """The AggregatedRecord in the data of a record, by the published schema; None if it is no aggregate."""
    body, digest = data[4:-16], data[-16:]
    if data[:4] != _MAGIC or hashlib.md5(body).digest() != digest:
        return None
    return _AGGREGATED.FromString(body)


def filtered(shard: FakeShard) -> list[Received]:
    """What the KCL gives to its application of one shard.

    It drops all of an aggregate as soon as one effective hash key in it lies outside the shard
    (amazon-kinesis-client, AggregatorUtil.deaggregate).
    """
    found: list[Received] = []
    for key, data in shard.records:
        made = message(data)
        if made is None:
            found.append(Received(data, key))
            continue
        own = [
            (
                int(made.explicit_hash_key_table[each.explicit_hash_key_index])
                if each.HasField("explicit_hash_key_index")
                else md5_of(made.partition_key_table[each.partition_key_index])
            )
            for each in made.records
        ]
        if all(shard.first <= hashed <= shard.last for hashed in own):
            found += [Received(each.data, made.partition_key_table[each.partition_key_index]) for each in made.records]
    return found


def _schema() -> Any:
    """`messages.proto` of the KPL (proto2), as a descriptor."""
    file = descriptor_pb2.FileDescriptorProto(name="messages.proto", syntax="proto2")
    aggregated = file.message_type.add(name="AggregatedRecord")
    aggregated.field.add(name="partition_key_table", number=1, type=_FIELD.TYPE_STRING, label=_FIELD.LABEL_REPEATED)
    aggregated.field.add(name="explicit_hash_key_table", number=2, type=_FIELD.TYPE_STRING, label=_FIELD.LABEL_REPEATED)
    records = aggregated.field.add(name="records", number=3, type=_FIELD.TYPE_MESSAGE, label=_FIELD.LABEL_REPEATED)
    records.type_name = ".Record"
    tag = file.message_type.add(name="Tag")
    tag.field.add(name="key", number=1, type=_FIELD.TYPE_STRING, label=_FIELD.LABEL_REQUIRED)
    tag.field.add(name="value", number=2, type=_FIELD.TYPE_STRING, label=_FIELD.LABEL_OPTIONAL)
    record = file.message_type.add(name="Record")
    record.field.add(name="partition_key_index", number=1, type=_FIELD.TYPE_UINT64, label=_FIELD.LABEL_REQUIRED)
    record.field.add(name="explicit_hash_key_index", number=2, type=_FIELD.TYPE_UINT64, label=_FIELD.LABEL_OPTIONAL)
    record.field.add(name="data", number=3, type=_FIELD.TYPE_BYTES, label=_FIELD.LABEL_REQUIRED)
    tags = record.field.add(name="tags", number=4, type=_FIELD.TYPE_MESSAGE, label=_FIELD.LABEL_REPEATED)
    tags.type_name = ".Tag"
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("AggregatedRecord"))


_AGGREGATED = _schema()
