"""What the emulator's CloudWatch has of a service, and the books of its sums."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from aiobotocore.session import get_session

from deploy.local.emulator import ACCESS_KEY, REGION, SECRET_KEY
from tests.conservation import Sample, total
from tests.integration.command import Serving

ENDED = (
    "UserRecordsPut",
    "EventsDeadLettered",
    "EventsRejectedBySink",
    "EventsGivenBack",
    "EventsDropped",
    "EventsDiverted",
)
ONE_PERIOD = 2**33
"""Seconds: all there is, whatever the time of day. The emulator takes any; CloudWatch, a day at most."""

Sums = Mapping[tuple[str, str], float]
"""By metric and the value of its dimension beside `Service`; empty where it has none."""


def client(endpoint: str, service: str) -> Any:
    """A client of the emulator."""
    return get_session().create_client(
        service,
        region_name=REGION,
        endpoint_url=endpoint,
        aws_access_key_id=ACCESS_KEY,
        aws_secret_access_key=SECRET_KEY,
    )


async def statistics(endpoint: str, service: str, statistic: str) -> Sums:
    """A statistic of each metric that `service` has, over all time."""
    async with client(endpoint, "cloudwatch") as cloudwatch:
        metrics = [
            metric
            for metric in (await cloudwatch.list_metrics(Namespace="Penstock"))["Metrics"]
            if {"Name": "Service", "Value": service} in metric["Dimensions"]
        ]
        queries = [
            {"Id": f"q{index}", "MetricStat": {"Metric": metric, "Period": ONE_PERIOD, "Stat": statistic}}
            for index, metric in enumerate(metrics)
        ]
        answer = await cloudwatch.get_metric_data(MetricDataQueries=queries, StartTime=0, EndTime=ONE_PERIOD)
    found: dict[tuple[str, str], float] = {}
    for metric, result in zip(metrics, answer["MetricDataResults"], strict=True):
        of = "".join(each["Value"] for each in metric["Dimensions"] if each["Name"] != "Service")
        [found[metric["MetricName"], of]] = result["Values"]
    return found


def assert_balanced(sums: Sums, pending: Sums, sinks: set[str]) -> None:
    """What each sink received is what became of it, and what is left; by CloudWatch alone."""
    assert {of for name, of in sums if name == "UserRecordsReceived"} == sinks
    for sink in sinks:
        ended = sum(sums.get((name, sink), 0) for name in ENDED)
        assert sums["UserRecordsReceived", sink] == ended + pending["UserRecordsPending", sink]


def percentile(buckets: list[tuple[float, int]], share: float) -> float:
    """Of values with how often each was there: linear between the two nearest ranks, as CloudWatch says."""
    values = [value for value, count in buckets for _ in range(count)]
    rank = share * (len(values) - 1)
    low = values[int(rank)]
    return low + (rank - int(rank)) * (values[min(int(rank) + 1, len(values) - 1)] - low)


def answers(found: list[Sample], route: str) -> list[tuple[float, int]]:
    """How many answers of a route took up to so many milliseconds, by the buckets of a scrape."""
    name = "penstock_http_request_duration_seconds_bucket"
    bounds = list(dict.fromkeys(sample.labels["le"] for sample in found if sample.name == name))
    below, counts = 0, list[tuple[float, int]]()
    for bound in bounds:
        upto = int(total(found, name, route=route, le=bound))
        value = float(bounds[-2] if bound == "+Inf" else bound)
        counts.append((round(value * 1000, 3), upto - below))
        below = upto
    return counts


@contextmanager
def serving(folder: Path, configuration: str, environment: Mapping[str, str]) -> Iterator[Serving]:
    """A service with this configuration, whose events need a `number`."""
    (folder / "order.json").write_text('{"type": "object", "required": ["number"]}')
    (folder / "penstock.yaml").write_text(configuration)
    with Serving("serve", folder=folder, more=environment) as running:
        yield running
