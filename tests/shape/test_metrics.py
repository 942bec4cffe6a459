"""docs/metrics.md and the metrics agree: every name, its labels, and every value of `outcome` and `reason`."""

import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from service import plugins
from service.outcome import Reason
from service.receipt import Fate
from service.telemetry.journal import JournalGauges
from service.telemetry.lane import LaneGauges
from service.telemetry.meter import LaneTimes, Meter
from service.telemetry.prometheus import registry
from service.telemetry.snapshot import Snapshot
from service.telemetry.source import SourceGauges

PAGE = Path(__file__).parents[2] / "docs" / "metrics.md"
ROW = re.compile(r"^\| `(penstock_\w+)` \| [^|]* \|(?P<labels>[^|]*)\|", re.MULTILINE)


def _page() -> str:
    return PAGE.read_text("utf-8").partition("\n## ")[0]


def _families() -> dict[str, tuple[str, ...]]:
    """Labels by the name that a scrape shows, counters with their `_total`."""
    found: dict[str, tuple[str, ...]] = {}
    for family in _registry().collect():
        (labels,) = {tuple(name for name in sample.labels if name != "le") for sample in family.samples}
        found[family.name + ("_total" if family.type == "counter" else "")] = labels
    return found


def _registry() -> CollectorRegistry:
    found = Snapshot(
        "serving",
        _meter(),
        [LaneGauges("sink", 1, 2, 3, 4, 5, 6, 7.0, 8.0, "closed")],
        {sink: dict(bill) for sink, bill in _bills()},
        [],
        JournalGauges(1, 2, 3, 4, 5.0, {("sink", "orders"): 6}, None),
        [SourceGauges("source", lag=1)],
    )
    return registry(found)


def _meter() -> Meter:
    """A meter that has counted something everywhere."""
    meter = Meter()
    meter.edge_received["http", "orders"] += 1
    meter.edge_rejected["http", "orders", "busy"] += 1
    meter.lane_received["sink", "orders"] += 1
    meter.lane_settled["sink", "orders", Fate.DELIVERED.value, ""] += 1
    meter.lane_held["sink", "orders"] += 1
    meter.auth_refused["missing"] += 1
    meter.auth_refresh_failures["keys"] += 1
    meter.auth_refreshed["keys"] = 1.0
    meter.lane_attempts["sink", "delivered"] += 1
    meter.lane_retries["sink", Reason.THROTTLED.value] += 1
    meter.lanes["sink"] = LaneTimes()
    meter.quota_refusals["other", "orders", "principal_events"] += 1
    meter.share_refusals["bodies", ""] += 1
    meter.connections_open["server"] += 1
    meter.tls_expiry["server"] = 1.0
    meter.tls_renewals["server", "renewed"] += 1
    meter.tls_failures["server", "protocol"] += 1
    meter.source_skipped["source", "tombstone"] += 1
    meter.source_deduplicated["source", "orders"] += 1
    meter.source_lapsed["source"] += 1
    meter.journal_stored["orders"] += 1
    meter.journal_failed["orders"] += 1
    meter.journal_queued["orders"] += 1
    meter.observe_request("orders", 200, 0.1)
    return meter


def _bills() -> Iterator[tuple[str, Mapping[str, int]]]:
    """The empty bill of each of our own sinks that has one. What it must be given is a name, whatever it is."""
    for name in plugins.known("sinks"):
        plugin = plugins.load("sinks", name)
        if hasattr(plugin, "bill"):
            names = {key: "orders" for key, each in plugin.Config.model_fields.items() if each.is_required()}
            yield name, plugin(name, plugin.Config(**(names | {"type": name}))).bill()


def test_the_bills_of_our_sinks_are_found() -> None:
    found = dict(_bills())
    assert {name: {key.partition("_")[0] for key in bill} for name, bill in found.items()} == {
        name: {name} for name in ("firehose", "kinesis", "sqs")
    }


def test_every_metric_is_explained_with_its_labels_and_no_other() -> None:
    explained = {name: tuple(re.findall(r"`(\w+)`", labels)) for name, labels in ROW.findall(_page())}
    assert explained == _families()


def test_every_metric_that_a_document_names_exists() -> None:
    suffix = re.compile(r"_(total|count|sum|bucket)$")
    exposed = {suffix.sub("", name) for name in _families()}
    for page in sorted(PAGE.parent.glob("*.md")):
        named = re.findall(r"penstock_[a-z]+_[a-z_]*[a-z]", page.read_text("utf-8"))
        assert {suffix.sub("", name) for name in named} <= exposed, page


def test_the_counters_of_the_conservation_equation_have_the_promised_names() -> None:
    promised = {
        "penstock_lane_events_received_total": ("sink", "route"),
        "penstock_lane_events_settled_total": ("sink", "route", "outcome", "reason"),
        "penstock_lane_events_held": ("sink", "route"),
        "penstock_events_received_total": ("source", "route"),
        "penstock_events_rejected_total": ("source", "route", "reason"),
    }
    families = _families()
    assert {name: families[name] for name in promised} == promised
    assert {"penstock_build_info", "penstock_http_request_duration_seconds"} <= set(families)


def test_every_outcome_and_reason_is_explained() -> None:
    cells = re.findall(r"^\| ([^|]+) \|", _page(), re.MULTILINE)
    explained = {name for cell in cells for name in re.findall(r"`(\w+)`", cell)}
    promised = {each.value for each in (*Fate, *Reason)}
    assert promised - explained == set()
    assert explained - promised - set(_families()) == set()


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool (Debian: prometheus) is not installed")
def test_promtool_finds_nothing_to_say_of_the_page() -> None:
    checked = subprocess.run(
        ["promtool", "check", "metrics"], input=generate_latest(_registry()), capture_output=True, check=False
    )
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, b"", b"")


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool (Debian: prometheus) is not installed")
def test_promtool_takes_the_alarms_of_the_document(tmp_path: Path) -> None:
    found = re.search(
        r"^## Alarms worth having\n+```yaml\n(.*?)^```", PAGE.read_text("utf-8"), re.DOTALL | re.MULTILINE
    )
    assert found is not None
    rules = tmp_path / "rules.yaml"
    rules.write_text(found[1])
    checked = subprocess.run(["promtool", "check", "rules", str(rules)], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr
