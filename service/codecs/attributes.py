"""The rules of CloudEvents context attributes: names, the type system, and what each of the known ones must be.

All mistakes of an event are listed at once, up to ten. Source: CloudEvents 1.0.2 specification, sections 3.1 to 3.3.
"""

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Final

from service.codecs.media import parse
from service.codecs.pointer import fragment
from service.errors import Code, InvalidEvent, Unreadable

REQUIRED: Final = ("id", "source", "specversion", "type")
MOST_ID: Final = 1024
"""Most characters of an id: it becomes a header, a deduplication key and part of answers."""

_NAME = re.compile(r"[a-z0-9]+")
_NONCHARACTERS = "\ufdd0-\ufdef" + "".join(chr(plane << 16 | last) for plane in range(17) for last in (0xFFFE, 0xFFFF))
_FORBIDDEN = re.compile(rf"[\x00-\x1f\x7f-\x9f\ud800-\udfff{_NONCHARACTERS}]")
_PCHAR = r"A-Za-z0-9\-._~!$&'()*+,;=:@%"
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_HOST = r"A-Za-z0-9\-._~!$&'()*+,;=%"
_URI_REFERENCE = re.compile(
    r"(?:(?P<scheme>[A-Za-z][A-Za-z0-9+.\-]*+):|(?![^/?#:]*+:))"
    rf"(?://(?:[{_HOST}:]*+@)?(?:\[[A-Fa-f0-9:.v]++\]|[{_HOST}]*+)(?::[0-9]*+)?(?=[/?#]|\Z)|(?!//))"
    rf"[{_PCHAR}/]*+(?:\?[{_PCHAR}/?]*+)?(?:\#[{_PCHAR}/?]*+)?"
)
_TIME = re.compile(
    r"([0-9]{4})-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])"
    r"[Tt](?:[01][0-9]|2[0-3]):[0-5][0-9]:(?:[0-5][0-9]|60)(?:\.[0-9]++)?"
    r"(?:[Zz]|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])"
)
_SHORT_MONTHS = frozenset({"04", "06", "09", "11"})
_MOST_MISTAKES = 10
_JSON = "application/json"
_SHORT = 256
"""What is longer is not remembered."""


class Mistakes:
    """What is wrong with one CloudEvent, by place."""

    __slots__ = ("_found", "_names", "_total")

    def __init__(self) -> None:
        self._found: list[dict[str, str]] = []
        self._names: set[str] = set()
        self._total = 0

    def add(self, name: str, keyword: str, detail: str) -> None:
        """Note that member `name` breaks a rule; the first ten are kept."""
        self._total += 1
        if self._total <= _MOST_MISTAKES:
            self._names.add(name)
            self._found.append({"pointer": fragment([name]), "keyword": keyword, "detail": detail})

    def about(self, name: str) -> bool:
        """Whether something is noted about member `name`."""
        return name in self._names

    def __bool__(self) -> bool:
        return self._total > 0

    def demand_none(self) -> None:
        """Raise InvalidEvent (INVALID_CLOUDEVENT), listing them, if there are any."""
        if not self._total:
            return
        first = self._found[0]
        more = f" (and {self._total - 1} more)" if self._total > 1 else ""
        raise InvalidEvent(Code.INVALID_CLOUDEVENT, f"{first['pointer']}: {first['detail']}{more}", errors=self._found)


def check(attributes: Mapping[str, str], mistakes: Mistakes) -> None:
    """Note every rule that `attributes` (name to canonical string) break."""
    for name in REQUIRED:
        if not attributes.get(name) and not mistakes.about(name):
            mistakes.add(name, "required", "is required and must not be empty")
    names = "".join(attributes)
    if not (names.isascii() and names.isalnum() and names.islower() and "" not in attributes):
        _check_names(attributes, mistakes)
    if not "".join(attributes.values()).isprintable():
        _check_characters(attributes, mistakes)
    _check_known(attributes, mistakes)


def sound_length(attributes: Mapping[str, str]) -> int:
    """The length of `attributes` as members of a JSON object, with a comma after each, where nothing is escaped and
    no blank is left; 0 unless they are surely in order but for their characters, and the data JSON.

    For names of no great length, as they are remembered. Raises TypeError if a value is no string.
    """
    get = attributes.get
    values = attributes.values()
    text = "".join(values)
    time = get("time")
    if (
        (names := _length_of_names(tuple(attributes)))
        and "" not in values
        and attributes["specversion"] == "1.0"
        and len(attributes["id"]) <= MOST_ID
        and get("datacontenttype", _JSON) == _JSON
        and _known_source(attributes["source"])
        and (time is None or is_time(time))
    ):
        return names + len(text)
    return 0


def _known_source(source: str) -> bool:
    """Whether `source` is short enough to be remembered, and a URI reference."""
    return len(source) <= _SHORT and _remembered_source(source)


@lru_cache(1024)
def _length_of_names(names: tuple[str, ...]) -> int:
    """What the names take of an object, with all that is between them and values; 0 if one is missing, or needs a
    closer look."""
    if not set(REQUIRED) <= set(names) or not all(map(_NAME.fullmatch, names)):
        return 0
    if {"data", "data_base64", "dataschema"} & set(names):
        return 0
    return sum(len(name) + len('"":"",') for name in names)


def flaw_of_id(id_: str) -> str | None:
    """Why `id_` cannot be an event's id; None if it can."""
    if len(id_) > MOST_ID:
        return f"has {len(id_)} characters; at most {MOST_ID} are taken"
    if not id_.isprintable() and _FORBIDDEN.search(id_):
        return "has a control character, or one that is not a character in Unicode"
    return None


def is_uri_reference(value: str) -> bool:
    """Whether `value` is a URI, or a reference relative to one (RFC 3986 §4.1); an empty one is."""
    return _URI_REFERENCE.fullmatch(value) is not None and ("%" not in value or not _BAD_ESCAPE.search(value))


_remembered_source = lru_cache(1024)(is_uri_reference)
"""Producers have few sources, and send many events from each."""


def _check_names(attributes: Mapping[str, str], mistakes: Mistakes) -> None:
    for name in attributes:
        if not _NAME.fullmatch(name):
            mistakes.add(name, "name", "attribute names are lower-case letters a-z and digits")


def _check_characters(attributes: Mapping[str, str], mistakes: Mistakes) -> None:
    for name, value in attributes.items():
        if _FORBIDDEN.search(value):
            mistakes.add(name, "pattern", "has a control character, or one that is not a character in Unicode")


def _check_known(attributes: Mapping[str, str], mistakes: Mistakes) -> None:
    get = attributes.get
    if len(get("id", "")) > MOST_ID:
        mistakes.add("id", "maxLength", f"has more than {MOST_ID} characters")
    if get("specversion") not in (None, "", "1.0"):
        mistakes.add("specversion", "enum", 'must be "1.0"')
    source = get("source")
    if source and not (_known_source(source) or is_uri_reference(source)):
        mistakes.add("source", "format", "must be a URI reference (RFC 3986), such as /shop/web")
    if get("subject") == "":
        mistakes.add("subject", "minLength", "must not be empty; leave it out instead")
    time = get("time")
    if time is not None and not is_time(time):
        mistakes.add("time", "format", "must be a timestamp with a zone (RFC 3339), such as 2026-01-31T12:00:00Z")
    dataschema = get("dataschema")
    if dataschema is not None and not _is_uri(dataschema):
        mistakes.add("dataschema", "format", "must be an absolute URI (RFC 3986), such as https://example.com/order")
    content_type = get("datacontenttype")
    if content_type is not None and content_type != _JSON:
        _check_content_type(content_type, mistakes)


def _check_content_type(value: str, mistakes: Mistakes) -> None:
    try:
        media = parse(value)
    except Unreadable:
        mistakes.add("datacontenttype", "format", "must be a media type (RFC 2046), such as application/json")
        return
    if media.is_json and not media.is_utf8:
        mistakes.add("datacontenttype", "enum", f"JSON is UTF-8 (RFC 8259), not {media.charset!r:.40}")


def _is_uri(value: str) -> bool:
    """Whether `value` has a scheme. A fragment is let pass, as schemas are often named with one."""
    match = _URI_REFERENCE.fullmatch(value)
    return match is not None and match["scheme"] is not None and not _BAD_ESCAPE.search(value)


def is_time(value: str) -> bool:
    """Whether `value` is an RFC 3339 date-time; a leap second may stand at any minute."""
    match = _TIME.fullmatch(value)
    if match is None:
        return False
    year, month, day = match.groups()
    if month == "02":
        number = int(year)
        leap = number % 4 == 0 and (number % 100 != 0 or number % 400 == 0)
        return day <= ("29" if leap else "28")
    return day < "31" or month not in _SHORT_MONTHS
