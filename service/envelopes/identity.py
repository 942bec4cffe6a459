"""What an envelope says of its event, as the attributes of a CloudEvent: identity, source, type, time.

An identity is given only where the envelope has one that no other event has: two events under one name would be taken
for one, and one of them lost; a name more for the same event is a duplicate that a consumer can see.
"""

from hashlib import sha256
from typing import Any
from urllib.parse import quote

import orjson

from service.codecs.attributes import Mistakes, check, flaw_of_id, is_time
from service.codecs.cloudevents import fit
from service.codecs.draft import Draft, Refusal
from service.errors import InvalidEvent


def identified(draft: Draft, id: str, source: str, type: str, **others: str | None) -> Draft | Refusal:
    """`draft` with these attributes; or its refusal, with all that CloudEvents forbids in them.

    Of the `others`, those that are None or empty are left out, and those that have control characters, and a `time`
    that is not in RFC 3339: they say something of an event, and are no reason to refuse it.
    """
    attributes = {"specversion": "1.0", "id": id, "source": source, "type": type} | {
        name: value
        for name, value in others.items()
        if value and flaw_of_id(value) is None and (name != "time" or is_time(value))
    }
    mistakes = Mistakes()
    check(attributes, mistakes)
    if mistakes:
        try:
            mistakes.demand_none()
        except InvalidEvent as error:
            return Refusal(draft.body, draft.content_type, error, fit(id))
    draft.attributes = attributes
    return draft


def joined(*parts: str) -> str:
    """One id of several parts, by slashes; its SHA-256 in hexadecimal where that cannot be an id, as it is too long."""
    id_ = "/".join(parts)
    return id_ if flaw_of_id(id_) is None else sha256(id_.encode()).hexdigest()


def canonical(value: Any) -> str | None:
    """`value` as JSON without blanks, its members sorted; None if it nests too deep to be written."""
    try:
        return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()
    except orjson.JSONEncodeError:
        return None


def path(*parts: str) -> str:
    """A relative URI reference of `parts`, percent-encoded; empty ones are left out."""
    return "/" + "/".join(quote(part, safe="") for part in parts if part)


def dotted(*parts: str) -> str:
    """`aws:s3.eu-west-1.bucket`: parts by dots, as the CloudEvents adapter for Amazon S3 makes a source.

    Percent-encoded where a part has what no URI reference may have; empty ones are left out.
    """
    return ".".join(quote(part, safe=":/") for part in parts if part)
