"""docs/metrics.md and the metrics of CloudWatch agree: every name, unit, dimension and kind, and how many there are."""

import re
from collections import Counter
from pathlib import Path

from service.cloudwatch.datum import difference
from service.cloudwatch.names import METRICS, By, Kind, Part
from service.cloudwatch.publisher import PENDING, PENDING_BYTES
from service.cloudwatch.totals import read
from service.config.cloudwatch import FLUSH_SECONDS
from tests.unit.counted import MOMENT, SINKS, everywhere

PAGE = (Path(__file__).parents[2] / "docs" / "metrics.md").read_text("utf-8")
SECTION = PAGE.partition("\n## In CloudWatch\n")[2].partition("\n## ")[0]
ROW = re.compile(r"^\| `(\w+)` \| (\w+) \| (?:`(\w+)`)? ?\| (\w+) \| ([^|]+) \| ([^|]+) \|", re.MULTILINE)


def _sent(by: By) -> dict[str, int]:
    """By the value of a dimension: the metrics that a service has of it at most."""
    return Counter(datum.of for datum in difference(read(everywhere(), MOMENT)) if datum.metric.by is by)


def test_every_metric_is_explained_and_no_other() -> None:
    explained = [(name, unit, by, kind) for name, unit, by, kind, _, _ in ROW.findall(SECTION)]
    assert sorted(explained) == sorted((each.name, each.unit, each.by.value, each.kind.value) for each in METRICS)


def test_the_equation_names_metrics_that_are_counts_of_sinks() -> None:
    equation = SECTION.partition("for each sink: **")[2].partition("**")[0]
    named = set(re.findall(r"[A-Z]\w+", equation))
    ended = {each.name for each in METRICS if each.by is By.SINK and each.name.startswith("Events")}
    ended -= {each.name for each in METRICS if each.kind is not Kind.COUNT}
    assert named == ended | {"UserRecordsReceived", "UserRecordsPut", "UserRecordsPending"}


def test_the_formula_of_the_costs_counts_what_is_sent() -> None:
    route, sink, kinesis, service, journal, tls, keys = map(
        int,
        re.findall(
            r"metrics = (\d+) . routes \+ (\d+) . sinks \+ (\d+) . Kinesis sinks "
            r"\+ sources with a lag \+ (\d+), (\d+) with a journal, (\d+) with TLS, and (\d+) with keys",
            " ".join(SECTION.split()),
        )[0],
    )
    assert _sent(By.ROUTE)["orders"] == route
    assert {name: _sent(By.SINK)[name] for name in SINKS} == {"lake": sink, "stream": sink + kinesis}
    assert sum(_sent(By.SERVICE).values()) == service + journal + tls + keys
    assert sum(_sent(By.SOURCE).values()) == 1
    parts = Counter(datum.metric.part for datum in difference(read(everywhere(), MOMENT)))
    assert (parts[Part.JOURNAL], parts[Part.TLS], parts[Part.KEYS]) == (journal, tls, keys)


def test_the_bounds_that_the_page_promises_are_those_of_the_code() -> None:
    text = " ".join(SECTION.split())
    assert f"up to {PENDING} requests and {PENDING_BYTES // 2**20} MiB wait" in text
    assert f"for at most {FLUSH_SECONDS:g} s" in text
