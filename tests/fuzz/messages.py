"""Messages of sources, as each of the codecs finds them: what they keep is in `tests/contract/test_envelopes.py`."""

from functools import cache

from service.codecs.tracecontext import of_message
from service.envelopes.contract import Message
from service.envelopes.registry import header
from tests.contract.goldens import CAPS, build
from tests.contract.test_envelopes import NAMES, TIGHT, demand_sound_of
from tests.fuzz.cutting import head_and_body

_codec = cache(build)


def run(data: bytes) -> None:
    """A byte that says which codec, headers of the message (`key: ...` is its key), an empty line, its value."""
    which, (pairs, value) = data[:1], head_and_body(data[1:])
    headers = dict(pairs)
    key = headers.pop("key", None)
    tombstone = headers.pop("tombstone", None) is not None
    message = Message(
        b"" if tombstone else value, headers, None if key is None else key.decode("utf-8", "replace"), tombstone
    )
    name = NAMES[(which[0] if which else 0) % len(NAMES)]
    for caps in (CAPS, TIGHT):
        demand_sound_of(_codec(name, caps), name, message, caps)
    named = header(message.value, headers)
    assert named is None or (named.isprintable() and len(named) < 200)
    trace = of_message(headers)
    assert trace is None or len(trace.parent) == 55
