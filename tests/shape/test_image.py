"""The Dockerfile agrees with the code: what it keeps of the SDK, its ports, its user, its health check."""

import re
import subprocess
from pathlib import Path

import pytest

from deploy.image import contained
from deploy.local.child import ROOT
from service import __version__, healthcheck
from service.config.settings import AdminConfig, ServerConfig

DOCKERFILE = (ROOT / "Dockerfile").read_text()
HADOLINT = ROOT / ".lab" / "tools" / "bin" / "hadolint"


def test_it_keeps_the_model_of_every_service_that_the_code_makes_a_client_of() -> None:
    kept = re.search(r'ARG AWS_SERVICES="([^"]+)"', DOCKERFILE)
    assert kept
    called = {
        name
        for file in (ROOT / "service").rglob("*.py")
        for name in re.findall(r"""\b(?:client|create_client)\(\s*f?["']([a-z0-9-]+)["']""", file.read_text())
    }
    assert {"kinesis", "firehose", "sqs", "cloudwatch", "s3"} <= called
    assert called <= set(kept[1].split())


def test_it_exposes_the_ports_that_are_the_defaults() -> None:
    assert f"EXPOSE {ServerConfig().port} {AdminConfig().port}" in DOCKERFILE


def test_the_health_check_asks_where_the_admin_port_is_by_default(tmp_path: Path) -> None:
    (file := tmp_path / "penstock.yaml").touch()
    assert healthcheck.where(file, {}) == (AdminConfig().host, AdminConfig().port, False)
    assert {"admin": AdminConfig().port, "server": ServerConfig().port} == healthcheck.DEFAULT_PORTS


def test_its_version_is_the_services() -> None:
    assert f"ARG VERSION={__version__}\n" in DOCKERFILE


def test_what_is_tried_runs_as_its_user() -> None:
    assert f"USER {contained.USER}:{contained.USER}\n" in DOCKERFILE


def test_it_needs_no_shell_and_names_no_registry() -> None:
    for word in ("HEALTHCHECK", "ENTRYPOINT", "CMD"):
        [line] = [each for each in DOCKERFILE.splitlines() if each.startswith(word)]
        assert "[" in line
    assert "VOLUME" not in re.sub(r"#.*", "", DOCKERFILE)
    assert "://" not in DOCKERFILE
    [base] = re.findall(r"^ARG BASE=(\S+)", DOCKERFILE, re.MULTILINE)
    assert "/" not in base


def test_hadolint_finds_nothing() -> None:
    if not HADOLINT.exists():
        pytest.skip("no hadolint: `make .lab/tools/.complete`")
    ran = subprocess.run([HADOLINT, ROOT / "Dockerfile"], capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stdout) == (0, "")
