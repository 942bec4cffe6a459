"""Quantities and paths as a human writes them in YAML: `64MiB`, `100ms`, `schemas/order.json`."""

import re
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, PlainSerializer, ValidationInfo

_SIZES = {"": 1, "B": 1, "kB": 10**3, "KB": 10**3, "MB": 10**6, "GB": 10**9}
_SIZES |= {"KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40}
_DURATIONS = {"": 1.0, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_QUANTITY = re.compile(r"^\s*(\d+(?:\.\d+)?)\s*([A-Za-z]*)\s*$")


def _parse(value: Any, units: dict[str, Any], example: str) -> Any:
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise ValueError(f"expected a quantity such as {example}")
    if not isinstance(value, str):
        return value
    match = _QUANTITY.match(value)
    if match is None or match[2] not in units:
        allowed = ", ".join(unit for unit in units if unit)
        raise ValueError(f"{value!r} is not a quantity such as {example}; units: {allowed}")
    return float(match[1]) * units[match[2]]


def parse_size(value: Any) -> int:
    """Bytes from `64MiB`, `1MB` or a plain number. Raises ValueError naming the units."""
    size = _parse(value, _SIZES, "64MiB")
    if size != int(size):
        raise ValueError(f"{value!r} is not a whole number of bytes")
    return int(size)


def parse_duration(value: Any) -> float:
    """Seconds from `100ms`, `20s`, `5m` or a plain number. Raises ValueError naming the units."""
    return float(_parse(value, _DURATIONS, "100ms"))


def format_size(size: int) -> str:
    """The shortest exact form: 67108864 -> `64MiB`."""
    for unit, factor in reversed(_SIZES.items()):
        if unit and size >= factor and size % factor == 0:
            return f"{size // factor}{unit}"
    return f"{size}B"


def format_duration(seconds: float) -> str:
    """The shortest exact form: 0.1 -> `100ms`, 20.0 -> `20s`."""
    if seconds and seconds < 1:
        return f"{seconds * 1000:g}ms"
    return f"{seconds:g}s"


ByteSize = Annotated[int, BeforeValidator(parse_size), PlainSerializer(format_size, when_used="json")]
Duration = Annotated[float, BeforeValidator(parse_duration), PlainSerializer(format_duration, when_used="json")]


def _beside_the_configuration(path: Path, info: ValidationInfo) -> Path:
    folder = (info.context or {}).get("folder")
    return folder / path if folder is not None else path


ConfigPath = Annotated[Path, AfterValidator(_beside_the_configuration)]
"""A path; a relative one starts at the folder of the configuration file (validation context `folder`)."""
