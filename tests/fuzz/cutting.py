"""An input that is more than one thing: lines of headers, an empty line, and a body; or pieces of a stream."""

from collections.abc import Iterator


def head_and_body(data: bytes) -> tuple[list[tuple[str, bytes]], bytes]:
    """`name: value` in each line up to an empty one, names in lower case; then the body. Bytes of names are Latin-1."""
    top, _, body = data.partition(b"\n\n")
    pairs = []
    for line in top.split(b"\n"):
        name, _, value = line.partition(b":")
        pairs.append((name.strip().lower().decode("latin-1"), value.strip(b" ")))
    return pairs, body


def as_headers(pairs: list[tuple[str, bytes]]) -> dict[str, str]:
    """The same as a request has them: values are Latin-1, without what the parser would not let pass."""
    return {name: value.decode("latin-1").translate(_NOT_IN_HEADERS) for name, value in pairs}


def pieces(data: bytes, size: int) -> Iterator[bytes]:
    """`data` in pieces of at most `size` bytes."""
    for start in range(0, len(data), size):
        yield data[start : start + size]


_NOT_IN_HEADERS = {ord(each): None for each in "\r\n\0"}
