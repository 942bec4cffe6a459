"""Reads lines of the embedded metric format as CloudWatch does, and holds them to its specification."""

import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import jsonschema_rs

SCHEMA = Path(__file__).parent / "golden" / "embedded_metric_format.json"
"""As published in the Amazon CloudWatch User Guide, "Specification: Embedded metric format"."""
LINE_BYTES = 256 * 1024
_VALIDATOR = jsonschema_rs.Draft7Validator(json.loads(SCHEMA.read_text("utf-8")))
"""It names no draft; its `$id`s are of draft 7."""

Dimensions = tuple[tuple[str, str], ...]


def metrics_of(line: bytes) -> dict[tuple[str, Dimensions], tuple[str, list[float]]]:
    """Unit and values of each metric by name and dimensions. Raises AssertionError for what the specification forbids
    in words, and ValidationError for what its schema forbids."""
    assert len(line) < LINE_BYTES
    assert line.endswith(b"\n")
    assert b"\n" not in line[:-1]
    root: dict[str, Any] = json.loads(line)
    _VALIDATOR.validate(root)
    found: dict[tuple[str, Dimensions], tuple[str, list[float]]] = {}
    for directive in root["_aws"]["CloudWatchMetrics"]:
        assert 1 <= len(directive["Metrics"]) <= 100
        for names in directive["Dimensions"]:
            assert all(isinstance(root[name], str) for name in names)
            dimensions = tuple((name, root[name]) for name in names)
            for metric in directive["Metrics"]:
                assert metric.keys() <= {"Name", "Unit", "StorageResolution"}
                assert metric.get("StorageResolution", 60) in (1, 60)
                target = root[metric["Name"]]
                values = target if isinstance(target, list) else [target]
                assert 1 <= len(values) <= 100
                assert all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)
                assert (metric["Name"], dimensions) not in found
                found[metric["Name"], dimensions] = (metric["Unit"], values)
    return found


def sums(lines: Iterable[bytes]) -> Counter[tuple[str, str]]:
    """Sums by the metric's name and the value of its last dimension."""
    result = Counter[tuple[str, str]]()
    for line in lines:
        for (name, dimensions), (_, values) in metrics_of(line).items():
            result[name, dimensions[-1][1]] += sum(values)  # type: ignore[assignment]  # whole numbers
    return result
