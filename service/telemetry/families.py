"""Counters by their labels as Prometheus has them."""

from collections.abc import Mapping
from typing import Any

from prometheus_client.core import CounterMetricFamily, Metric


def counter(name: str, text: str, labels: str, counts: Mapping[Any, int]) -> Metric:
    """A counter whose `labels`, between spaces, have the values that are the keys of `counts`."""
    family = CounterMetricFamily(name, text, labels=labels.split())
    for values, count in counts.items():
        family.add_metric(values, count)
    return family
