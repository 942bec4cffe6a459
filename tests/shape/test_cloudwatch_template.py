"""deploy/cloudwatch and the page on alarms agree with what `penstock generate cloudwatch` makes."""

import re
from pathlib import Path

import pytest
from cfnlint.api import ManualArgs, lint

from service.cloudwatch.parameters import THRESHOLDS
from service.cloudwatch.template import template
from service.cloudwatch.watched import watched
from service.cloudwatch.watches import WATCHES, Missing
from service.config import load
from tests.unit.cloudwatch_world import ISSUER, MIXED, SMALL, TLS, large, watching

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "quickstart" / "penstock.yaml"
MADE = ROOT / "deploy" / "cloudwatch" / "quickstart.yaml"
ALARMS = (ROOT / "docs" / "observe.md").read_text("utf-8")

ROW = re.compile(r"^\| \[`([a-z-]+)`\]\(runbook\.md#([a-z-]+)\) \|([^|]*)\|([^|]*)\|([^|]*)\|", re.MULTILINE)
SECURE = SMALL | {"server": {"auth": {"jwt": ISSUER}}, "admin": {"tls": TLS}}
WITHOUT_DATA = {Missing.WELL: "ends", Missing.STAYS: "stays", Missing.AMISS: "begins"}


LINTED = ManualArgs(
    include_checks=["I"],
    ignore_checks=["I4010"],  # wants metadata of its own beside every resource, which nothing reads here
    regions=["us-east-1", "eu-central-1", "cn-north-1"],
)


def faults(text: str) -> list[str]:
    """What cfn-lint has to say of a template: errors, warnings and notes."""
    return [f"{match.rule.id} {match.message}" for match in lint(text, config=LINTED)]


def test_the_example_is_what_the_quickstart_makes_and_fits_into_a_request() -> None:
    """If this fails: make generated."""
    made = template(watched(load(EXAMPLE, {})))
    assert MADE.read_text("utf-8") == made.text
    assert made.size < 51_200


@pytest.mark.parametrize("settings", [SMALL, SECURE, MIXED, large(4, 60)], ids=["small", "secure", "mixed", "large"])
def test_cfn_lint_finds_nothing(tmp_path: Path, settings: dict[str, object]) -> None:
    found = watching(tmp_path, settings, service="a shop: #1")
    assert faults(template(found, expected=found.routes).text) == []


def test_certificate_and_keys_have_alarms_parameters_and_graphs_only_where_they_are(tmp_path: Path) -> None:
    own = ("Certificate:", "KeysNotRead:", "CertificateTimeLeft", "AuthRefreshFailures")
    secure, plain = (template(watching(tmp_path, settings)).text for settings in (SECURE, SMALL))
    assert [name in secure for name in own] == [True] * len(own)
    assert [name in plain for name in own] == [False] * len(own)


def test_cfn_lint_finds_nothing_where_kinds_are_left_out(tmp_path: Path) -> None:
    found = watching(tmp_path, MIXED)
    assert faults(template(found, without=[watch.name for watch in WATCHES]).text) == []
    assert faults(template(found, without=["oldest-event", "refused"]).text) == []


def test_cfn_lint_would_find_something() -> None:
    text = MADE.read_text("utf-8")
    assert faults(text.replace("TreatMissingData: ignore", "TreatMissingData: ignored", 1))
    assert faults(text.replace("${Unaccounted.Arn}", "${Unacounted.Arn}"))


def test_every_alarm_has_its_line_and_every_line_its_alarm() -> None:
    rows = ROW.findall(ALARMS)
    assert [(anchor, name) for anchor, name, *_ in rows] == [(watch.name, watch.name) for watch in WATCHES]
    for watch, (_, _, _, begins, without) in zip(WATCHES, rows, strict=True):
        assert without.strip() == WITHOUT_DATA[watch.missing], watch.name
        if not isinstance(watch.threshold, int):
            assert f"`{watch.threshold.name}`" in begins
            if watch.threshold.default is not None:
                assert f"({watch.threshold.default:,}" in begins
        if watch.periods > watch.breached:
            assert f"{watch.breached} of {watch.periods} minutes" in begins


def test_every_threshold_belongs_to_an_alarm() -> None:
    assert {watch.threshold.name for watch in WATCHES if not isinstance(watch.threshold, int)} == set(THRESHOLDS)
