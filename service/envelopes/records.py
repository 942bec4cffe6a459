"""A message that is an object with an array `Records`, as AWS services send them: each of them with its own bytes."""

from collections.abc import Callable, Iterable

from msgspec import DecodeError, Raw, Struct
from msgspec.json import Decoder

from service.codecs.body import array
from service.codecs.draft import Caps, Draft, Refusal
from service.envelopes.document import refused_whole
from service.errors import TooLarge, Unreadable

_NONE = Raw(b"")


class _Envelope(Struct, gc=False):
    Records: Raw = _NONE


_decode = Decoder(_Envelope).decode


def records(value: bytes, decode: Callable[[bytes], Draft | Refusal], caps: Caps) -> Iterable[Draft | Refusal] | None:
    """What `decode` finds in each of the `Records`; one refusal if they are no array, or too many.

    None if `value` is no object with such a member.
    """
    try:
        found = _decode(value).Records
    except (DecodeError, RecursionError):
        return None
    if found is _NONE:
        return None
    try:
        return array(bytes(found), decode, caps)
    except (Unreadable, TooLarge) as error:
        return (refused_whole(value, error),)
