"""Quantities, paths and hosts as a human writes them in YAML: `64MiB`, `100ms`, `schemas/order.json`, `127.0.0.1`."""

import re
from collections.abc import Mapping
from decimal import Decimal
from fractions import Fraction
from ipaddress import ip_address
from math import isfinite
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, PlainSerializer, ValidationInfo

_SIZES = {"": 1, "B": 1, "KB": 10**3, "kB": 10**3, "MB": 10**6, "GB": 10**9}
_SIZES |= {"KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40}
_SECOND = Fraction(1)
_DURATIONS = {"": _SECOND, "ms": _SECOND / 1000, "s": _SECOND, "m": _SECOND * 60, "h": _SECOND * 3600}
_DURATIONS |= {"d": _SECOND * 86400}
_LABEL = r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_NAME_OF_HOST = re.compile(rf"(?=.{{1,253}}\.?\Z)(?:{_LABEL}\.)*(?!\d+\.?\Z){_LABEL}\.?")
"""RFC 1123 §2.1, and underscores, which container networks have in names. Its last label is no number: that would be
an address."""
_QUANTITY = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]*)\s*", re.ASCII)


def _parse(value: Any, units: Mapping[str, int | Fraction], example: str) -> Fraction:
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise ValueError(f"must be a quantity such as {example}")
    if not isinstance(value, str):
        if not isfinite(value):
            raise ValueError(f"must be a finite quantity such as {example}")
        return Fraction(value)
    match = _QUANTITY.fullmatch(value)
    if match is None or match[2] not in units:
        allowed = ", ".join(unit for unit in units if unit)
        raise ValueError(f"{value[:40]!r} is not a quantity such as {example}; units: {allowed}")
    return Fraction(match[1]) * units[match[2]]


def parse_size(value: Any) -> int:
    """Bytes from `64MiB`, `1MB` or a plain number. Raises ValueError naming the units."""
    size = _parse(value, _SIZES, "64MiB")
    if size.denominator != 1:
        raise ValueError(f"{value!r} is not a whole number of bytes")
    return int(size)


def parse_duration(value: Any) -> float:
    """Seconds from `100ms`, `20s`, `5m` or a plain number. Raises ValueError naming the units."""
    return float(_parse(value, _DURATIONS, "100ms"))


def format_size(size: int) -> str:
    """The exact size in the largest unit that divides it: 67108864 -> `64MiB`."""
    for unit, factor in reversed(_SIZES.items()):
        if unit and size >= factor and size % factor == 0:
            return f"{size // factor}{unit}"
    return f"{size}B"


def format_duration(seconds: float) -> str:
    """The exact duration in the unit that reads best: 0.1 -> `100ms`, 3600.0 -> `1h`, 90.0 -> `90s`."""
    for unit in ("d", "h", "m"):
        count = Fraction(seconds) / _DURATIONS[unit]
        if count >= 1 and count.denominator == 1:
            return f"{count}{unit}"
    milliseconds = f"{seconds * 1000:g}ms"
    if 0 < seconds < 1 and "e" not in milliseconds and parse_duration(milliseconds) == seconds:
        return milliseconds
    return f"{Decimal(repr(seconds)):f}".removesuffix(".0") + "s"


ByteSize = Annotated[int, BeforeValidator(parse_size), PlainSerializer(format_size, when_used="json")]
Duration = Annotated[float, BeforeValidator(parse_duration), PlainSerializer(format_duration, when_used="json")]


def is_host(text: str) -> bool:
    """Whether `text` is an IP address, IPv6 without brackets, or has the form of a host's name."""
    try:
        ip_address(text)
    except ValueError:
        return _NAME_OF_HOST.fullmatch(text) is not None
    return True


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches `host`."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def is_address(host: str) -> bool:
    """Whether `host` is an IP address, and no name."""
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _host(text: str) -> str:
    if not is_host(text):
        raise ValueError("must be an address such as 127.0.0.1 or ::1, or a host's name such as localhost")
    return text


Host = Annotated[str, AfterValidator(_host)]


def _named(path: Any) -> Any:
    if isinstance(path, str) and (not path.strip() or "\0" in path):
        raise ValueError("must be a path, such as data or /var/lib/penstock; `.` is the configuration's own folder")
    return path


def _beside_the_configuration(path: Path, info: ValidationInfo) -> Path:
    folder = (info.context or {}).get("folder")
    return folder / path if folder is not None else path


def _absolute(path: Path) -> str:
    return str(path.absolute())


ConfigPath = Annotated[
    Path,
    BeforeValidator(_named),
    AfterValidator(_beside_the_configuration),
    PlainSerializer(_absolute, when_used="json"),
]
"""A path; a relative one starts at the folder of the configuration file (validation context `folder`).
Shown absolute, so that what `penstock config` prints can stand anywhere."""


def counted(number: int, noun: str) -> str:
    """`1 sink`, `2 sinks`."""
    return f"{number} {noun}{'' if number == 1 else 's'}"
