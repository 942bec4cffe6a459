"""Amazon resource names: of the destinations that may be given by name or by ARN."""

import re
from typing import Self

from msgspec import Struct

_ARN = re.compile(r"arn:(aws[a-z-]*):([a-z0-9-]+):([a-z0-9-]+):(\d{12}):(.+)")


class Arn(Struct, frozen=True):
    """The parts of `arn:partition:service:region:account:resource`."""

    text: str
    partition: str
    service: str
    region: str
    account: str
    resource: str

    @property
    def name(self) -> str:
        """The last part of the resource: `orders` of `stream/orders`."""
        return self.resource.rpartition("/")[2]

    @classmethod
    def parse(cls, text: str, service: str, kind: str) -> Self:
        """The ARN in `text`, of a `kind` (`stream/`; empty for none) of `service`. Raises ValueError otherwise."""
        match = _ARN.fullmatch(text)
        if match is None or match[2] != service or not match[5].startswith(kind) or "/" in match[5][len(kind) :]:
            raise ValueError(f"{text!r} is not of the form arn:aws:{service}:<region>:<account>:{kind}<name>")
        return cls(text, match[1], match[2], match[3], match[4], match[5])


def name_or_arn(text: str, service: str, kind: str, name: re.Pattern[str], told: str) -> str:
    """`text`, the ARN of a `kind` of `service`, or a `name`. Raises ValueError, which begins with `told`, otherwise."""
    if is_arn(text):
        Arn.parse(text, service, kind)
    elif not name.fullmatch(text):
        raise ValueError(f"{told} of letters, digits and _.-; or give its ARN")
    return text


def is_arn(text: str) -> bool:
    """Whether `text` means to be an ARN."""
    return text.startswith("arn:")
