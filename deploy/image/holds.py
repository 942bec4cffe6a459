"""What an image of the service must do, tried on its files: serve read-only as nobody, say how it is, and end well."""

import json
import os
import signal
import socket
import tempfile
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from deploy.image.bundle import Failed
from deploy.image.contained import USER, Contained

WORKERS: Final = 2
Told = Callable[[str], None]
_CLIENTS: Final = """
import sys, botocore.session
session = botocore.session.Session()
for service in sys.argv[1].split():
    session.create_client(service, region_name="eu-west-1", aws_access_key_id="x", aws_secret_access_key="x")
print("clients", len(sys.argv[1].split()))
"""
_SERVICES: Final = "cloudwatch firehose kinesis s3 secretsmanager sqs sso sso-oidc sts"


class Trial:
    """The image's files, and what a container of it is given."""

    def __init__(self, root: Path, config: Mapping[str, Any], folder: Path) -> None:
        self._root = root
        self._config = config
        self._folder = folder
        self.port, self._admin = _free_port(), _free_port()
        for name in ("configuration", "journal"):
            (folder / name).mkdir(mode=0o755)
        os.chown(folder / "journal", USER, USER)
        folder.chmod(0o755)
        (root / "etc" / "penstock").mkdir(exist_ok=True)  # as a container's runtime makes what it mounts on
        (folder / "configuration" / "penstock.yaml").write_text(
            f"server: {{host: 127.0.0.1, port: {self.port}, deregister_delay: 200ms, memory: 128MiB}}\n"
            f"admin: {{host: 127.0.0.1, port: {self._admin}}}\n"
            "journal: {path: /var/lib/penstock, volume: ephemeral}\n"
            "logs: {form: json}\n"
            "sinks: {out: {type: stdout}, dead: {type: memory}}\n"
            "routes: {stored: {ack: stored, to: [out], dead_letter: dead}, now: {to: [out]}}\n"
        )

    def contained(self, *command: str, **more: str) -> Contained:
        """A command in it; without one, what the image runs."""
        environment = dict(each.split("=", 1) for each in self._config["Env"]) | more
        said = tempfile.NamedTemporaryFile(dir=self._folder, delete=False)  # noqa: SIM115 - it outlives this call
        said.close()
        words = command or (*self._config["Entrypoint"], *self._config["Cmd"])
        volumes = (self._folder / "configuration", self._folder / "journal")
        return Contained(self._root, *volumes, Path(said.name), environment, *words)

    def outcome(self, *command: str) -> tuple[int, str]:
        """Exit code and output of a command in it."""
        with self.contained(*command) as running:
            code = running.exit_code()
        return code, running.log.read_text()

    def healthy(self) -> int:
        """The exit code of the image's own health check."""
        _, *command = self._config["Healthcheck"]["Test"]
        return self.outcome(*command)[0]

    def post(self, route: str, event: object) -> int:
        """Send an event. Returns the status."""
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/v1/{route}", json.dumps(event).encode(), {"Content-Type": "application/json"}
        )
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=30) as answer:
            return int(answer.status)


def check(root: Path, config: Mapping[str, Any], told: Told) -> None:
    """Try all of it. Raises Failed or RuntimeError with what does not hold."""
    _described(config)
    own = [each for each in (root / "opt").rglob("*") if each.is_file() and each.lstat().st_mode & 0o6000]
    _must(not own, f"files with setuid: {own}")
    with tempfile.TemporaryDirectory(prefix="penstock-trial-") as folder:
        trial = Trial(root, config, Path(folder))
        _serves(trial)
        told("as process 1, user 10001, read-only, no new privileges: serves, stores, is healthy; SIGTERM: drains, 0")
        _starts_and_ends(trial)
        told("SIGTERM while it starts, as process 1: it ends")
        _replaces(trial)
        told("two workers, one killed: replaced, nobody is left behind as a zombie; SIGTERM: 0")
        code, said = trial.outcome("/opt/penstock/bin/python", "-c", _CLIENTS, _SERVICES)
        _must(code == 0 and "clients" in said, f"clients of AWS: {said}")
        told("the SDK has the models that the service needs")


def _described(config: Mapping[str, Any]) -> None:
    _must(config["User"] == f"{USER}:{USER}", "the user is a number")
    _must(config["StopSignal"] == "SIGTERM", "the signal that stops it")
    words = (*config["Entrypoint"], *config["Cmd"], *config["Healthcheck"]["Test"])
    _must(not any(Path(word).name == "sh" or word == "CMD-SHELL" for word in words), "no shell is needed")
    _must(not config["Volumes"], "no volume that would go with the container")


def _serves(trial: Trial) -> None:
    _must(trial.healthy() == 1, "the health check fails while nobody serves")
    with trial.contained() as running:
        running.says('"serving"')
        _must(trial.post("now", {"canary": "now"}) == 200, "an event is delivered")
        _must(trial.post("stored", {"canary": "stored"}) == 202, "an event is stored")
        running.says('"canary": "stored"')
        _must(trial.healthy() == 0, "the health check passes while it serves")
        running.terminate()
        _must(running.exit_code() == 0, "it drains, and ends with 0")
        said = running.log.read_text()
        _must('"everything_settled":true' in said.replace(" ", ""), f"it drained: {said[-500:]}")
        _must("Read-only" not in said and '"level":"error"' not in said.replace(" ", ""), f"no trouble: {said}")


def _starts_and_ends(trial: Trial) -> None:
    with trial.contained() as running:
        running.until(running.handles_sigterm, "it has a handler")
        running.terminate()
        code = running.exit_code()
        _must(code in (0, 128 + signal.SIGTERM), f"it ends while it starts: exit code {code}")


def _replaces(trial: Trial) -> None:
    with trial.contained(PENSTOCK__SERVER__WORKERS=str(WORKERS)) as running:
        running.says('"serving"')
        victim = min(running.workers())
        os.kill(victim, signal.SIGKILL)
        running.until(
            lambda: victim not in running.workers() and len(running.workers()) == 2, "another takes its place"
        )
        _must("Z" not in running.workers().values(), "nobody is left behind")
        running.terminate()
        _must(running.exit_code() == 0, "it drains with workers, and ends with 0")


def _must(holds: bool, what: str) -> None:
    if not holds:
        raise Failed(f"does not hold: {what}")


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])
