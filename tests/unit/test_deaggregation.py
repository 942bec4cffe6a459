"""Aggregated records taken apart are what was put into them; anything else is one record as it is."""

from hashlib import md5

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.codecs.deaggregation import deaggregated
from service.codecs.kpl import MAGIC, Aggregate
from tests.contract.kpl_consumer import consumed


@given(st.lists(st.tuples(st.text(max_size=5), st.binary(max_size=300)), min_size=1, max_size=20))
def test_every_user_record_comes_back_as_with_the_deaggregation_of_aws(records: list[tuple[str, bytes]]) -> None:
    aggregate = Aggregate("12345678901234567890")
    for key, data in records:
        assert aggregate.add(key, data, 10**6)
    encoded = aggregate.encode()
    assert deaggregated(encoded) == [data for _, data in records]
    assert deaggregated(encoded) == [found.body for found in consumed([("a", encoded)])]


def test_fields_that_are_not_ours_are_passed_over() -> None:
    tag = b"\x22\x02\x0a\x00"
    record = b"\x08\x00\x1a\x04data" + tag
    message = b"\x0a\x01k" + b"\x1a" + bytes([len(record)]) + record + b"\x29" + bytes(8) + b"\x35" + bytes(4)
    assert deaggregated(MAGIC + message + md5(message).digest()) == [b"data"]


@given(st.binary(max_size=60))
def test_whatever_else_there_is_stays_one_record(message: bytes) -> None:
    assert deaggregated(message) == [message]
    assert deaggregated(MAGIC + message) == [MAGIC + message]


@pytest.mark.parametrize(
    "message", [b"\x1a\x05abc", b"\x1a", b"\x1b", b"\x1a\x02\x1a\x09", b"\x80", b"\x08" + b"\xff" * 10 + b"\x00"]
)
def test_a_message_that_is_broken_within_is_one_record(message: bytes) -> None:
    whole = MAGIC + message + md5(message).digest()
    assert deaggregated(whole) == [whole]
