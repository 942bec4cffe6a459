"""The quick look at an envelope: it never lets pass what the careful one refuses, and knows the usual ones."""

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from service.codecs.attributes import Mistakes, check, sound_length

USUAL = {
    "specversion": "1.0",
    "id": "e-1",
    "source": "/shop/web",
    "type": "com.example.order.placed",
    "time": "2026-11-24T12:00:00.123Z",
    "subject": "o-1",
    "datacontenttype": "application/json",
    "partitionkey": "c-1",
}
NAMES = st.sampled_from([*USUAL, "dataschema", "data", "data_base64", "trace", "Bad", "b-d", "", "x" * 40])
VALUES = st.one_of(
    st.text(max_size=8),
    st.sampled_from(
        [
            *USUAL.values(),
            "",
            "1.1",
            "a b",
            "/x/%zz",
            "2026-02-30T00:00:00Z",
            "a\nb",
            "\ufdd0",
            "i" * 1100,
            "text/plain",
        ]
    ),
)


def unsound(attributes: dict[str, str]) -> bool:
    mistakes = Mistakes()
    check(attributes, mistakes)
    return bool(mistakes)


@example({**USUAL, "subject": ""})
@example({**USUAL, "id": ""})
@example({**USUAL, "id": "i" * 1100})
@example({**USUAL, "source": "a b"})
@example({**USUAL, "time": "2026-02-30T00:00:00Z"})
@example({**USUAL, "specversion": "1.1"})
@example({**USUAL, "type": "a\nb"})
@example({**USUAL, "Bad": "x"})
@example({**USUAL, "data": "x"})
@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # a busy machine is no failure
@given(changes=st.dictionaries(NAMES, VALUES, max_size=3).map(lambda changes: USUAL | changes))
def test_what_passes_the_quick_look_passes_the_careful_one(changes: dict[str, str]) -> None:
    if unsound(changes) and "".join(changes.values()).isprintable():  # the rest is for who knows how they were written
        assert not sound_length(changes)


@pytest.mark.parametrize("left_out", [(), ("time",), ("subject", "partitionkey"), ("datacontenttype",)])
def test_the_usual_envelope_needs_no_careful_look(left_out: tuple[str, ...]) -> None:
    assert sound_length({name: value for name, value in USUAL.items() if name not in left_out})


@pytest.mark.parametrize(
    "change",
    [{"datacontenttype": "text/plain"}, {"dataschema": "https://example.com/s"}, {"data_base64": "AA=="}],
)
def test_what_needs_a_closer_look_gets_one(change: dict[str, str]) -> None:
    assert not sound_length(USUAL | change)


@pytest.mark.parametrize("missing", ["id", "source", "specversion", "type"])
def test_without_a_required_attribute_none_is_sound(missing: str) -> None:
    assert not sound_length({name: value for name, value in USUAL.items() if name != missing})
