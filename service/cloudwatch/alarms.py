"""The alarms of one service: each kind of `watches.py`, for every sink, route or source that it is about."""

from collections.abc import Collection, Sequence
from typing import Any

from msgspec import Struct

from service.cloudwatch.intrinsics import If, InLine, Ref, Sub
from service.cloudwatch.parameters import Threshold
from service.cloudwatch.watched import Watched, WatchedSink
from service.cloudwatch.watches import WATCHES, Watch

MOST_CHARACTERS = 1024
"""Of a description ("PutMetricAlarm", CloudWatch API reference)."""


class Alarm(Struct, frozen=True):
    """One alarm of one service."""

    watch: Watch
    subject: str
    """The sink, route or source; empty for the service."""

    @property
    def name(self) -> str:
        """Unique in one service."""
        return f"{self.watch.name}-{self.subject}" if self.subject else self.watch.name

    @property
    def logical_id(self) -> str:
        """Its name in the template: letters and digits. Names in a configuration have no capitals, so X is ours."""
        kind = self.watch.name.title().replace("-", "")
        return f"{kind}X{self.subject.replace('_', 'X')}" if self.subject else kind

    @property
    def description(self) -> str:
        """What it means, what to do first, where to read on."""
        text = f"{self.watch.means} First: {self.watch.first} More: docs/runbook.md#{self.watch.name}"
        return text.replace("{subject}", self.subject)


def alarms(watched: Watched, without: Collection[str] = (), expected: Collection[str] = ()) -> list[Alarm]:
    """The alarms of a service. `without`: kinds that are not wanted; `expected`: routes that are never to be silent."""
    found = []
    for watch in WATCHES:
        if watch.name in without:
            continue
        for subject in watched.subjects_of(watch.metric):
            if watch.wanted and subject not in expected:
                continue
            if watch.sinks is not None and not watch.sinks(watched.sinks[subject]):
                continue
            found.append(Alarm(watch, subject))
    return found


def properties(alarm: Alarm, watched: Watched, actions: tuple[Any, ...]) -> dict[str, Any]:
    """Those of its AWS::CloudWatch::Alarm. `actions`: what is told when it begins, and when it ends."""
    watch = alarm.watch
    return {
        "AlarmName": Sub(f"${{AWS::StackName}}-{alarm.name}"),
        "AlarmDescription": alarm.description,
        **(_share(alarm, watched, *watch.share) if watch.share else _metric(alarm, watched)),
        "EvaluationPeriods": watch.periods,
        "DatapointsToAlarm": watch.breached,
        "ComparisonOperator": "LessThanThreshold" if watch.below else "GreaterThanThreshold",
        "Threshold": _threshold(watch, watched.sinks.get(alarm.subject)),
        "TreatMissingData": watch.missing.value,
        "AlarmActions": actions,
        "OKActions": actions,
    }


def _threshold(watch: Watch, sink: WatchedSink | None) -> Any:
    match watch.threshold:
        case int():
            return watch.threshold
        case Threshold(default=None):
            assert sink is not None, "only a sink has patience"
            own = int(sink.slow_seconds) if sink.slow_seconds.is_integer() else sink.slow_seconds
            return If(watch.threshold.given, Ref(watch.threshold.name), own)
        case _:
            return Ref(watch.threshold.name)


def _metric(alarm: Alarm, watched: Watched) -> dict[str, Any]:
    return {
        **_named(alarm.watch.metric, alarm, watched),
        "Statistic": alarm.watch.statistic,
        "Period": _period(alarm.watch, watched),
    }


def _named(metric: str, alarm: Alarm, watched: Watched) -> dict[str, Any]:
    dimensions = watched.dimensions(metric, alarm.subject)
    return {
        "Namespace": watched.namespace,
        "MetricName": metric,
        "Dimensions": [InLine(Name=name, Value=value) for name, value in dimensions.items()],
    }


def _period(watch: Watch, watched: Watched) -> int:
    return max(watch.period, watched.period)


def _share(alarm: Alarm, watched: Watched, *whole: str) -> dict[str, Any]:
    """Metric math: in percent, and 0 where there was nothing."""
    part, *rest = (alarm.watch.metric, *whole)
    ids = {name: f"m{number}" for number, name in enumerate((part, *rest))}
    queries = [
        {
            "Id": ids[name],
            "MetricStat": {
                "Metric": _named(name, alarm, watched),
                "Stat": alarm.watch.statistic,
                "Period": _period(alarm.watch, watched),
            },
            "ReturnData": False,
        }
        for name in ids
    ]
    expression = percentage(ids[part], [ids[name] for name in rest])
    return {"Metrics": [{"Id": "share", "Expression": expression, "Label": f"{part}, %"}, *queries]}


def percentage(part: str, whole: Sequence[str]) -> str:
    """Metric math of `part` in the sum of `whole`, in percent: ids of metrics, of which any may be missing."""
    total = "+".join(f"FILL({each},0)" for each in whole)
    return f"IF({total}>0,100*FILL({part},0)/({total}),0)"
