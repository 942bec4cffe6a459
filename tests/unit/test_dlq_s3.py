"""Objects in the bucket behind a delivery stream, in every form that the firehose sink packs letters in."""

import gzip
import json

import pytest

from service.dlq.s3 import parse_s3, pieces
from service.event import NO_ATTRIBUTES, Event, Origin
from service.sinks.packing import Compression, Form, Packing, pack

LETTERS = [json.dumps({"dead_letter": "1", "body": f"{number}\n" * 20}).encode() for number in range(9)]


@pytest.mark.parametrize("form", ["ndjson", "json_array", "length_prefixed", "none"])
@pytest.mark.parametrize("compress", ["none", "gzip", "zstd"])
@pytest.mark.parametrize("by_firehose", [False, True])
def test_the_letters_of_many_records_come_back(form: Form, compress: Compression, by_firehose: bool) -> None:
    packing = Packing(form, compress, 10**6, record_events=4, records=500, call_bytes=4 * 10**6, newline=True)
    events = [Event("", "", None, letter, "application/json", NO_ATTRIBUTES, Origin("http", 0)) for letter in LETTERS]
    records = pack([packing.piece(event) for event in events], packing).records
    assert len(records) > 2
    data = b"".join(records)
    assert pieces(gzip.compress(data) if by_firehose else data, form) == LETTERS


@pytest.mark.parametrize("data", [b"[1", b"1", gzip.compress(b"[1]", mtime=0)[:-3]])
def test_an_object_of_another_form_is_an_error_to_be_told(data: bytes) -> None:
    with pytest.raises((ValueError, EOFError)):
        pieces(data, "json_array")


def test_a_place_in_s3_is_bucket_and_prefix() -> None:
    assert parse_s3("s3://lake/dead/letters/") == ("lake", "dead/letters/")
    assert parse_s3("s3://lake") == ("lake", "")
    for text in ("lake", "s3://", "https://lake/x"):
        with pytest.raises(ValueError, match="write s3://BUCKET/PREFIX"):
            parse_s3(text)
