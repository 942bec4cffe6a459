"""Bounded decompression: gzip and zstd."""

import contextlib
import gzip
import os
import struct
import tracemalloc
import zlib
from collections import deque
from functools import cache

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from service.codecs.compression import PIECE_BYTES, inflater
from service.errors import Code, TooLarge, Unreadable, Unsupported

CAP = 1024 * 1024


def zstd(data: bytes) -> bytes:
    return zstandard.ZstdCompressor().compress(data)


def zstd_bomb(blocks: int) -> bytes:
    """A frame of `blocks` blocks, 4 bytes each, that give 128 KiB each (RFC 8878 §3.1.1.2.2: RLE blocks)."""
    header = b"\x28\xb5\x2f\xfd" + bytes([0, (17 - 10) << 3])
    block = struct.pack("<I", 131072 << 3 | 1 << 1)[:3] + b"a"
    last = struct.pack("<I", 131072 << 3 | 1 << 1 | 1)[:3] + b"a"
    return header + block * (blocks - 1) + last


@cache
def gzip_bomb(size: int) -> bytes:
    packer = zlib.compressobj(9, wbits=31)
    return b"".join([*(packer.compress(bytes(2**20)) for _ in range(size // 2**20)), packer.flush()])


def inflated(encoding: str, body: bytes) -> bytes:
    source = inflater(encoding, CAP)
    assert source is not None
    data = source.feed(body)
    source.finish()
    return data


PACK = {"gzip": gzip.compress, "zstd": zstd}


@pytest.mark.parametrize("encoding", PACK)
@given(parts=st.lists(st.binary(max_size=300), min_size=1, max_size=4), size=st.integers(1, 50))
def test_any_members_in_any_pieces_give_the_same_bytes(encoding: str, parts: list[bytes], size: int) -> None:
    body = b"".join(map(PACK[encoding], parts))
    source = inflater(encoding, CAP)
    assert source is not None
    assert b"".join(source.feed(body[i : i + size]) for i in range(0, len(body), size)) == b"".join(parts)
    source.finish()


@pytest.mark.parametrize("encoding", PACK)
def test_a_large_body_is_inflated_whole(encoding: str) -> None:
    data = os.urandom(3_000_000) + bytes(5_000_000)
    source = inflater(encoding, len(data))
    assert source is not None
    assert source.feed(PACK[encoding](data)) == data
    source.finish()


def test_skippable_zstd_frames_are_skipped() -> None:
    skip = struct.pack("<II", 0x184D2A50, 3) + b"abc"
    source = inflater("zstd", CAP)
    assert source is not None
    assert source.feed(skip + zstd(b"one") + skip + zstd(b"two") + skip) == b"onetwo"
    source.finish()


def test_many_empty_members_are_read() -> None:
    source = inflater("gzip", CAP)
    assert source is not None
    assert source.feed(gzip.compress(b"") * 20_000 + gzip.compress(b"end")) == b"end"


@pytest.mark.parametrize("encoding", ["gzip", "zstd"])
@pytest.mark.parametrize("whole", [True, False])
def test_a_bomb_is_refused_having_held_no_more_than_the_cap_and_a_piece(encoding: str, whole: bool) -> None:
    bomb = zstd_bomb(8192) if encoding == "zstd" else gzip_bomb(2**28)
    source = inflater(encoding, CAP)
    assert source is not None
    pieces = [bomb] if whole else [bomb[i : i + 1024] for i in range(0, len(bomb), 1024)]
    tracemalloc.start()
    try:
        with pytest.raises(TooLarge) as caught:
            deque(map(source.feed, pieces), maxlen=0)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert caught.value.code is Code.BODY_TOO_LARGE
    assert caught.value.members["limit"] == CAP
    assert CAP < caught.value.members["actual"] <= CAP + PIECE_BYTES
    assert peak <= CAP + 2 * PIECE_BYTES  # a piece, and the parts it was put together from


def test_a_kilobyte_stands_for_no_more_than_the_cap_in_zstd() -> None:
    bomb = zstd_bomb(250)
    assert len(bomb) < 1024 + 8
    source = inflater("zstd", CAP)
    assert source is not None
    with pytest.raises(TooLarge):
        source.feed(bomb)


@pytest.mark.parametrize("encoding", PACK)
def test_exactly_the_cap_is_taken_and_a_byte_more_is_not(encoding: str) -> None:
    source = inflater(encoding, 1000)
    assert source is not None
    assert source.feed(PACK[encoding](bytes(1000))) == bytes(1000)
    with pytest.raises(TooLarge):
        source.feed(PACK[encoding](b"x"))


@pytest.mark.parametrize("encoding", PACK)
def test_a_body_that_lies_about_its_encoding_or_ends_too_soon_is_refused(encoding: str) -> None:
    other = PACK["zstd" if encoding == "gzip" else "gzip"]
    whole = PACK[encoding](b"hello" * 100)
    for body in (b'{"a": 1}', other(b"x"), whole + b"trailing", whole[:-1], whole[:3]):
        with pytest.raises(Unreadable, match=f"not valid {encoding}") as caught:
            inflated(encoding, body)
        assert caught.value.code is Code.INVALID_ENCODING


@pytest.mark.parametrize("encoding", PACK)
@given(noise=st.binary(max_size=200), at=st.integers(0, 60), keep=st.integers(0, 60))
def test_mutated_bodies_raise_nothing_but_refusals(encoding: str, noise: bytes, at: int, keep: int) -> None:
    whole = PACK[encoding](b"some text, some text, some more text")
    with contextlib.suppress(Unreadable, TooLarge):
        inflated(encoding, whole[:at] + noise + whole[keep:])


def test_a_zstd_window_above_8_mib_is_refused_in_words() -> None:
    source = inflater("zstd", 2**30)
    assert source is not None
    parameters = zstandard.ZstdCompressionParameters(window_log=27, compression_level=1)
    packer = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    with pytest.raises(Unreadable, match="windows above 8388608 bytes"):
        source.feed(packer.compress(b"x") + packer.flush())


@pytest.mark.parametrize("encoding", ["", "identity", " Identity "])
def test_no_encoding_needs_no_inflater(encoding: str) -> None:
    assert inflater(encoding, CAP) is None


@pytest.mark.parametrize("encoding", ["br", "deflate", "gzip, gzip", "gzip,zstd", "x" * 10_000])
def test_other_encodings_are_refused_with_what_is_allowed(encoding: str) -> None:
    with pytest.raises(Unsupported, match="allowed: gzip, zstd") as caught:
        inflater(encoding, CAP)
    assert caught.value.code is Code.UNSUPPORTED_ENCODING
    assert len(caught.value.detail) < 200
