"""The settings of tracing: what is missing is told before the start, and what is secret is not shown."""

import importlib.util
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Any

import pytest

from service.config import Config, load
from service.config import tracing as settings
from service.config.reference import effective
from service.errors import ConfigError
from service.telemetry.tracing import CLOSE_SECONDS

GOOD = "exporter: otlp, endpoint: 'http://127.0.0.1:4318'"


def loaded(folder: Path, tracing: str, more: str = "") -> Config:
    path = folder / "penstock.yaml"
    path.write_text(f"tracing: {{{tracing}}}\nsinks: {{out: {{type: stdout}}}}\nroutes: {{r: {{to: [out]}}}}\n{more}")
    return load(path, {})


def mistakes(folder: Path, tracing: str, more: str = "") -> str:
    with pytest.raises(ConfigError) as caught:
        loaded(folder, tracing, more)
    return "\n".join(caught.value.mistakes)


def test_without_a_word_it_is_off(tmp_path: Path) -> None:
    assert not loaded(tmp_path, "").tracing.on
    assert loaded(tmp_path, GOOD).tracing.on


@pytest.mark.parametrize(
    ("tracing", "said"),
    [
        ("exporter: otlp", "needs an endpoint"),
        ("exporter: otlp, endpoint: 'collector:4318'", "must be an http or https URL"),
        ("exporter: otlp, endpoint: 'http://user:secret@collector:4318'", "must be an http or https URL"),
        (f"{GOOD}, sample: 1.5", "tracing.sample"),
        (f"{GOOD}, headers: {{'a b': c}}", "no name of a header"),
        (f"{GOOD}, sampler: x", "tracing.sampler"),
    ],
)
def test_what_cannot_be_is_told(tmp_path: Path, tracing: str, said: str) -> None:
    assert said in mistakes(tmp_path, tracing)


@pytest.mark.parametrize("raises", [True, False])
def test_a_package_that_is_not_installed_is_told_with_the_line_that_installs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, raises: bool
) -> None:
    def missing(name: str, *more: Any) -> ModuleSpec | None:
        if name == "opentelemetry.exporter.otlp.proto.http":
            if raises:
                raise ModuleNotFoundError(name=name)
            return None
        return importlib.util.find_spec(name, *more)

    monkeypatch.setattr(settings, "find_spec", missing)
    said = mistakes(tmp_path, GOOD)
    assert "opentelemetry.exporter.otlp.proto.http" in said
    assert "pip install 'penstock-gateway[tracing]'" in said
    assert not loaded(tmp_path, "exporter: none").tracing.on


def test_values_of_headers_are_masked(tmp_path: Path) -> None:
    config = loaded(tmp_path, f"{GOOD}, headers: {{x-team: very-secret}}")
    assert config.tracing.headers["x-team"].get_secret_value() == "very-secret"
    assert "very-secret" not in effective(config) + repr(config.tracing)
    assert "x-team" in effective(config)


def test_the_last_spans_have_a_part_of_the_grace(tmp_path: Path) -> None:
    tight = f"server: {{grace: {27 + CLOSE_SECONDS - 1:g}s}}\n"
    assert "2s for the last answers and 2s for the last spans" in mistakes(tmp_path, GOOD, tight)
    assert not loaded(tmp_path, "exporter: none", tight).tracing.on
