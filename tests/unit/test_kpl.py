"""Aggregated records: byte for byte what the schema and AWS's deaggregation read, within their size."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.codecs.kpl import Aggregate
from tests.contract.harness import Received
from tests.contract.kpl_consumer import consumed, message

EXPLICIT = str(2**128 - 1)
_keys = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40)
_users = st.lists(st.tuples(_keys | st.sampled_from(["one", "two"]), st.binary(max_size=200)), min_size=1, max_size=60)


def aggregate(users: Sequence[tuple[str, bytes]], explicit: str = EXPLICIT) -> Aggregate:
    """An aggregate of all `users`: partition key and data."""
    made = Aggregate(explicit)
    for key, data in users:
        assert made.add(key, data, 2**24)
    return made


@given(users=_users, hashed=st.integers(0, 2**128 - 1))
def test_the_schema_reads_what_was_added(users: list[tuple[str, bytes]], hashed: int) -> None:
    made = message(aggregate(users, str(hashed)).encode())
    assert [(made.partition_key_table[each.partition_key_index], each.data) for each in made.records] == users
    assert list(made.explicit_hash_key_table) == [str(hashed)]
    assert all(each.HasField("explicit_hash_key_index") for each in made.records)
    assert {each.explicit_hash_key_index for each in made.records} == {0}
    assert len(set(made.partition_key_table)) == len(made.partition_key_table)


@given(users=_users, hashed=st.integers(0, 2**128 - 1))
def test_the_bytes_are_those_of_the_protobuf_library(users: list[tuple[str, bytes]], hashed: int) -> None:
    data = aggregate(users, str(hashed)).encode()
    assert message(data).SerializeToString(deterministic=True) == data[4:-16]


@given(users=_users)
def test_the_deaggregation_of_aws_reads_what_was_added(users: list[tuple[str, bytes]]) -> None:
    assert consumed([("a", aggregate(users).encode())]) == [Received(data, key) for key, data in users]


@pytest.mark.parametrize("length", [0, 1, 117, 118, 127, 128, 4095, 4096, 16_383, 16_384, 2**21])
def test_lengths_of_every_width_are_read(length: int) -> None:
    users = [("k", b"x" * length), ("l", b"y")]
    assert [each.data for each in message(aggregate(users).encode()).records] == [data for _, data in users]


def test_indexes_of_every_width_are_read() -> None:
    users = [(f"key-{number}", b"%d" % number) for number in range(5000)]
    made = message(aggregate(users).encode())
    assert [made.partition_key_table[each.partition_key_index] for each in made.records] == [key for key, _ in users]


@given(users=_users)
def test_the_size_is_known_while_it_grows(users: list[tuple[str, bytes]]) -> None:
    made = Aggregate(EXPLICIT)
    for count, (key, data) in enumerate(users, 1):
        before = made.size
        assert made.add(key, data, 2**24) == made.size - before
        assert (made.count, made.size) == (count, len(made.encode()))


@given(users=_users, most=st.integers(0, 2000))
def test_what_would_grow_too_much_leaves_no_trace(users: list[tuple[str, bytes]], most: int) -> None:
    made = Aggregate(EXPLICIT)
    limit = made.size + most
    taken = [(key, data) for key, data in users if made.add(key, data, limit - made.size)]
    assert made.size <= limit
    assert made.encode() == aggregate(taken).encode() if taken else made.count == 0


def test_a_record_that_just_fits_is_taken_and_one_byte_less_refuses_it() -> None:
    grown = Aggregate(EXPLICIT).add("key", b"data", 1000)
    assert Aggregate(EXPLICIT).add("key", b"data", grown) == grown
    assert Aggregate(EXPLICIT).add("key", b"data", grown - 1) == 0
