"""Helm, in the environment that has its library."""

import json
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
PYTHON = ROOT / ".lab" / "tools" / "bin" / "python"

Manifest = dict[str, Any]


class Helm:
    """A process that renders."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process
        self._lock = threading.Lock()

    def ask(self, **asked: Any) -> dict[str, Any]:
        """One question and its answer."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with self._lock:
            self._process.stdin.write(json.dumps(asked) + "\n")
            self._process.stdin.flush()
            found: dict[str, Any] = json.loads(self._process.stdout.readline())
        return found

    def manifests(self, values: dict[str, Any] | None = None, name: str = "demo") -> list[Manifest]:
        """Everything that is made."""
        answer = self.ask(values=values or {}, name=name)
        assert "error" not in answer, answer["error"]
        found: list[Manifest] = []
        for path, text in answer["manifests"].items():
            if path.endswith(".yaml"):
                found += [each for each in yaml.safe_load_all(text) if each]
        return found

    def refusal(self, values: dict[str, Any]) -> str:
        """Why nothing is made."""
        return str(self.ask(values=values)["error"])


@pytest.fixture(scope="session", name="helm")
def _helm() -> Iterator[Helm]:
    """Skips where Helm's library has no wheel: elsewhere than on Linux on x86_64."""
    if subprocess.run([PYTHON, "-c", "import helm_python"], capture_output=True, check=False).returncode:
        pytest.skip("Helm's library is not there (requirements/tools.in says for which platforms)")
    with subprocess.Popen(
        [PYTHON, "-m", "deploy.chart.render"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT
    ) as process:
        yield Helm(process)
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(30) == 0


def of_kind(manifests: list[Manifest], kind: str) -> list[Manifest]:
    """Those of one kind."""
    return [each for each in manifests if each["kind"] == kind]


def only(manifests: list[Manifest], kind: str) -> Manifest:
    """The one of its kind."""
    (found,) = of_kind(manifests, kind)
    return found


def workload(manifests: list[Manifest]) -> Manifest:
    """The Deployment or StatefulSet."""
    (found,) = of_kind(manifests, "Deployment") + of_kind(manifests, "StatefulSet")
    return found


def pod(manifests: list[Manifest]) -> Manifest:
    """The pod's spec."""
    found: Manifest = workload(manifests)["spec"]["template"]["spec"]
    return found


def container(manifests: list[Manifest]) -> Manifest:
    """The gateway's container."""
    (found,) = pod(manifests)["containers"]
    assert isinstance(found, dict)
    return found
