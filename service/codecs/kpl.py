"""The aggregated record of the Kinesis Producer Library: many user records in one record of a stream.

Encoded by hand, because a protobuf library costs more than all the rest of the way of an event. Promises that no
consumer drops a user record because of a reshard: every one refers to the same explicit hash key, which is to be the
record's own (`aggregation-format.md` of the KPL; the KCL drops a whole record if one effective hash key in it lies
outside the shard).

    magic F3 89 9A C2 | AggregatedRecord, protobuf 2 | MD5 of the message, 16 bytes

    AggregatedRecord: 1 repeated string partition_key_table, 2 repeated string explicit_hash_key_table,
                      3 repeated Record
    Record:           1 uint64 partition_key_index, 2 uint64 explicit_hash_key_index, 3 bytes data
"""

from hashlib import md5

MAGIC = b"\xf3\x89\x9a\xc2"
PARTITION_KEY = "a"
"""The partition key of a record that has an explicit hash key, and therefore needs none: as short as can be."""
_DIGEST_BYTES = 16


def _varint(number: int) -> bytes:
    """A protobuf varint: seven bits a byte, the lowest first."""
    encoded = bytearray()
    while number > 127:
        encoded.append(number & 127 | 128)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)


_VARINTS = [_varint(number) for number in range(4096)]
"""Indexes and the lengths of most events; longer ones are rare enough to be encoded anew."""
_KNOWN = len(_VARINTS)


class Aggregate:
    """One aggregated record in the making. `explicit_hash_key` is that of the call, in decimal."""

    __slots__ = ("_explicit", "_indexes", "_keys", "_records", "count", "size")

    def __init__(self, explicit_hash_key: str) -> None:
        self._explicit = b"\x12" + _varint(len(explicit_hash_key)) + explicit_hash_key.encode()
        self._indexes: dict[str, int] = {}
        self._keys: list[bytes] = []
        self._records: list[bytes] = []
        self.count = 0
        """User records in it."""
        self.size = len(MAGIC) + len(self._explicit) + _DIGEST_BYTES
        """Bytes of what `encode` returns."""

    def add(self, partition_key: str, data: bytes, most: int) -> int:
        """The bytes by which the record grew; 0 if that would be more than `most`, and then nothing was added."""
        index = self._indexes.get(partition_key)
        new = index is None
        entry = b""
        if index is None:
            index = len(self._indexes)
            key = partition_key.encode()
            length = len(key)
            entry = b"\x0a" + (_VARINTS[length] if length < _KNOWN else _varint(length)) + key
        length = len(data)
        where = _VARINTS[index] if index < _KNOWN else _varint(index)
        sized = _VARINTS[length] if length < _KNOWN else _varint(length)
        inner = length + len(where) + len(sized) + 4
        head = b"\x1a%b\x08%b\x10\x00\x1a%b" % (_VARINTS[inner] if inner < _KNOWN else _varint(inner), where, sized)
        grown = len(entry) + len(head) + length
        if grown > most:
            return 0
        if new:
            self._indexes[partition_key] = index
            self._keys.append(entry)
        self._records.append(head)
        self._records.append(data)
        self.count += 1
        self.size += grown
        return grown

    def encode(self) -> bytes:
        """The data of the record."""
        message = b"".join((*self._keys, self._explicit, *self._records))
        return MAGIC + message + md5(message, usedforsecurity=False).digest()
