"""Packing: what goes into records comes out of them, in order, within every limit, whatever the form."""

import asyncio
import gzip
import random
import threading
from collections.abc import Sequence

import orjson
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from service.errors import Unreadable
from service.outcome import DELIVERED, Reason, Rejected, Retry
from service.sinks import packing as room
from service.sinks.packing import NO_ROOM, Compression, Form, Packed, Packing, pack, packed
from service.sinks.unpacking import inflated, unpack
from tests.contract.harness import event

FORMS: tuple[Form, ...] = ("ndjson", "json_array", "length_prefixed", "none")
CODECS: tuple[Compression, ...] = ("none", "gzip", "zstd")
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
).map(orjson.dumps)
LINES = st.binary(max_size=60).map(lambda body: body.translate(None, b"\r\n"))


def settings(form: Form, compress: Compression = "none", **changes: object) -> Packing:
    given: dict[str, object] = {"record_bytes": 1024, "record_events": 1000, "records": 500, "call_bytes": 2**20}
    return Packing(**{"form": form, "compress": compress, **given, **changes})  # type: ignore[arg-type]


def pieces_of(bodies: Sequence[bytes], how: Packing) -> list[bytes | Rejected]:
    kind = "application/json" if how.form == "json_array" else "application/octet-stream"
    return [how.piece(event(n, body, content_type=kind)) for n, body in enumerate(bodies)]


def read(call: Packed, how: Packing) -> list[bytes]:
    """What a consumer finds in all the records."""
    return [
        each
        for record in call.records
        for each in unpack(inflated(record, how.compress, how.base64), how.form)
    ]  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("compress", CODECS)
@given(data=st.data())
def test_what_is_packed_is_unpacked_in_order_and_no_limit_is_passed(
    form: Form, compress: Compression, data: st.DataObject
) -> None:
    bodies = data.draw(st.lists(JSON if form == "json_array" else LINES, max_size=40))
    how = settings(
        form,
        compress,
        record_bytes=data.draw(st.integers(1024, 1400)),
        record_events=data.draw(st.integers(1, 30)),
        records=data.draw(st.integers(1, 8)),
        call_bytes=data.draw(st.integers(1400, 3000)),
        base64=data.draw(st.booleans()),
        newline=form == "json_array" and data.draw(st.booleans()),
    )
    pieces = pieces_of(bodies, how)
    alone = data.draw(st.sets(st.integers(0, 39), max_size=3))
    call = pack(pieces, how, alone)
    placed = [position for group in call.groups for position in group]
    assert placed == list(range(len(placed))), "what follows an event without room has none either"
    assert read(call, how) == bodies[: len(placed)]
    assert bool(placed) == bool(bodies)
    assert all(len(record) <= how.record_bytes for record in call.records)
    assert sum(map(len, call.records)) <= how.call_bytes
    assert len(call.records) <= how.records
    assert all(len(group) <= (1 if form == "none" else how.record_events) for group in call.groups)
    assert all(len(group) == 1 for group in call.groups if alone & set(group))
    assert pack(pieces, how, alone) == call, "the same events make the same records"


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("compress", CODECS)
@pytest.mark.parametrize("base64", [False, True])
@pytest.mark.parametrize("record_bytes", [1024, 1027, 70_000, 1_024_000])
def test_the_largest_event_fits_even_if_it_cannot_be_compressed(
    form: Form, compress: Compression, base64: bool, record_bytes: int
) -> None:
    newline = form == "json_array"
    how = settings(form, compress, record_bytes=record_bytes, base64=base64, call_bytes=record_bytes, newline=newline)
    noise = random.Random(1).randbytes(how.event_bytes - how.overhead_bytes)
    body = noise.translate(bytes.maketrans(b"\r\n", b"ab"))
    if form == "json_array":
        body = b'"' + bytes(32 + each % 90 for each in noise[2:]).translate(bytes.maketrans(b'"\\', b"ab")) + b'"'
    call = pack(pieces_of([body], how), how)
    assert read(call, how) == [body]
    assert len(call.records[0]) <= record_bytes
    if compress == "none":
        assert record_bytes - len(call.records[0]) < 4, "what is not compressed fills the record"


def test_a_record_that_compression_makes_too_large_is_split_and_nothing_is_lost() -> None:
    noise = random.Random(2)
    bodies = [noise.randbytes(98) for _ in range(30)]
    how = settings("length_prefixed", "gzip", record_bytes=1024)
    call = pack(pieces_of(bodies, how), how)
    assert read(call, how) == bodies
    assert [len(group) for group in call.groups] == [5] * 6, "ten are 1,020 bytes before compression"
    assert all(len(record) <= 1024 for record in call.records)


def test_compressed_records_are_as_full_before_compression_as_others_after() -> None:
    bodies = [b"x" * 99] * 100
    how = settings("ndjson", "zstd", record_bytes=2000)
    assert [len(group) for group in pack(pieces_of(bodies, how), how).groups] == [20] * 5


def test_a_record_takes_what_is_left_of_the_call() -> None:
    how = settings("ndjson", record_bytes=1024, call_bytes=1500)
    call = pack(pieces_of([b"x" * 99] * 20, how), how)
    assert [len(group) for group in call.groups] == [10, 5]


def test_each_compressed_record_is_a_file_of_its_own_and_so_are_many_together() -> None:
    bodies = [b"%d" % n for n in range(2000)]
    for compress in CODECS[1:]:
        how = settings("ndjson", compress)
        call = pack(pieces_of(bodies, how), how)
        assert len(call.records) > 5
        file = b"".join(call.records)
        assert unpack(inflated(file, compress), "ndjson") == bodies
        reader = zstandard.ZstdDecompressor().stream_reader(file, read_across_frames=True)
        read_elsewhere = gzip.decompress(file) if compress == "gzip" else reader.read()
        assert read_elsewhere.split() == bodies


@pytest.mark.parametrize("body", [b"", b"{", b"1,2", b"1],[2", b"{}{}", b'{"a":NaN}', b'"\xff"', b"\xef\xbb\xbf{}"])
def test_what_is_not_one_json_text_is_in_no_array_whatever_it_claims_to_be(body: bytes) -> None:
    piece = settings("json_array").piece(event(0, body))
    assert isinstance(piece, Rejected)
    assert piece.reason is Reason.REFUSED_CONTENT


def test_json_in_an_array_stands_on_one_line_without_white_space_around() -> None:
    how = settings("json_array", newline=True)
    call = pack([how.piece(event(0, b' {"a":\r\n[1,\n2]}\n')), how.piece(event(1, b'"\\n"'))], how)
    assert call.records == [b'[{"a":  [1, 2]},"\\n"]\n']


def test_what_is_no_json_by_its_type_is_in_no_array() -> None:
    assert isinstance(settings("json_array").piece(event(0, b"1", content_type="text/plain")), Rejected)


def test_refused_pieces_have_no_place_and_keep_their_refusal() -> None:
    how = settings("ndjson", record_events=2, records=1)
    refused = Rejected(Reason.REFUSED_CONTENT)
    pieces: list[bytes | Rejected] = [refused, b"a", refused, b"b", b"c"]
    call = pack(pieces, how)
    assert call.records == [b"a\nb\n"]
    assert call.outcomes(pieces, [DELIVERED]) == [refused, DELIVERED, refused, DELIVERED, NO_ROOM]
    failed = Retry(Reason.THROTTLED)
    assert call.outcomes(pieces, [failed]) == [refused, failed, refused, failed, NO_ROOM]


async def test_only_much_compression_leaves_the_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    threads: list[bool] = []
    inner = room.pack

    def seen(*arguments: object) -> Packed:
        threads.append(threading.current_thread() is not threading.main_thread())
        return inner(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(room, "pack", seen)
    little, much = [b"x" * 1000], [b"x" * 1000] * 33
    for compress in CODECS:
        for pieces in (little, much):
            call = await packed(pieces, settings("ndjson", compress))
            assert call == await asyncio.to_thread(inner, pieces, settings("ndjson", compress))
    assert threads == [False, False, False, True, False, True]


@pytest.mark.parametrize(
    ("data", "form"),
    [
        (b"a\nb", "ndjson"),
        (b"[1,2", "json_array"),
        (b"{}", "json_array"),
        (b"\x00\x00\x00", "length_prefixed"),
        (b"\x00\x00\x00\x02a", "length_prefixed"),
    ],
)
def test_a_record_that_is_cut_off_is_not_read(data: bytes, form: Form) -> None:
    with pytest.raises(ValueError, match=r"cut off|truncated|Expected|ends at byte"):
        unpack(data, form)


@pytest.mark.parametrize("compress", CODECS[1:])
def test_a_compressed_record_that_is_cut_off_is_not_read(compress: Compression) -> None:
    how = settings("ndjson", compress)
    [record] = pack(pieces_of([b"a", b"b"], how), how).records
    with pytest.raises(Unreadable):
        inflated(record[:-1], compress)
