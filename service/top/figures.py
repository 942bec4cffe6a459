"""Figures as a narrow column takes them: at most six characters."""

UNKNOWN = "-"
_THOUSAND = 1000.0


def count(value: float | None) -> str:
    """`7`, `1.2k`, `35M`."""
    if value is None:
        return UNKNOWN
    for unit in ("", "k", "M", "G", "T"):
        if abs(value) < 999.5 or unit == "T":
            return f"{value:.0f}{unit}" if not unit or abs(value) >= 99.5 else f"{value:.1f}{unit}"
        value /= _THOUSAND
    raise AssertionError("there is a last unit")


def rate(value: float | None) -> str:
    """The same, of so many a second: `0.4`, `12`."""
    return f"{value:.1f}" if value is not None and 0 < value < 9.95 else count(value)


def seconds(value: float | None) -> str:
    """`31ms`, `4.2s`, `19m`, `5h`, `3d`."""
    if value is None:
        return UNKNOWN
    if value == 0:
        return "0"
    if value < 0.9995:
        return f"{max(value * 1000, 0.1):.{0 if value >= 0.0095 else 1}f}ms"
    if value < 59.5:
        return f"{value:.{0 if value >= 9.95 else 1}f}s"
    for limit, size, unit in ((3570, 60, "m"), (129_600, 3600, "h")):
        if value < limit:
            return f"{value / size:.0f}{unit}"
    return f"{value / 86_400:.0f}d"


def size(value: float) -> str:
    """Bytes: `900B`, `64Mi`."""
    for unit in ("B", "Ki", "Mi", "Gi", "Ti"):
        if value < 999.5 or unit == "Ti":
            return f"{value:.0f}{unit}" if unit == "B" or value >= 9.95 else f"{value:.1f}{unit}"
        value /= 1024
    raise AssertionError("there is a last unit")
