"""No secret is ever told: not in logs at their loudest, not in errors, metrics, pages, dead letters or commands."""

import json
import signal
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.integration.canaries import Canaries
from tests.integration.command import Serving, penstock


def _asked(url: str, headers: Mapping[str, str], body: bytes | None = None, most: int = 10**6) -> str:
    """All of an answer, whatever its status: status, headers and body."""
    request = urllib.request.Request(url, body, {"Content-Type": "application/json", **headers})
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=30) as answer:
            return f"{answer.status} {answer.headers} {answer.read(most).decode()}"
    except urllib.error.HTTPError as error:
        with error:
            return f"{error.code} {error.headers} {error.read().decode()}"


def _sent(service: Serving, canaries: Canaries) -> dict[str, str]:
    """What producers hear, with good credentials and with others."""
    good = {"Authorization": f"Bearer {canaries.key}"}
    said = {}
    for route, body in (
        ("orders", {"id": "1"}),
        ("orders", ["no object"]),
        ("stored", {"id": "2"}),
        ("away", {"id": 3}),
    ):
        said[f"POST {route} {body}"] = _asked(f"{service.url}/v1/{route}", good, json.dumps(body).encode())
    for name, value in (
        ("Authorization", f"Bearer shop.{canaries.of('wrong key')}"),
        ("Authorization", f"Basic {canaries.of('wrong scheme')}"),
        ("Authorization", f"Bearer a.b.{canaries.of('wrong token')}"),
        ("X-Api-Key", canaries.of("wrong X-Api-Key")),
    ):
        said[f"refused {len(said)}"] = _asked(f"{service.url}/v1/orders", {name: value}, b"{}")
    records = b'{"requestId": "r", "timestamp": 1, "records": []}'
    for key in (canaries.of("FED"), canaries.of("wrong access key")):
        access = {"X-Amz-Firehose-Access-Key": key, "X-Amz-Firehose-Protocol-Version": "1.0"}
        said[f"firehose {len(said)}"] = _asked(f"{service.url}/firehose/fed", access, records)
    said["query"] = _asked(f"{service.url}/v1/none?token={canaries.of('query')}", good, b"{}")
    return said


def _watched(service: Serving, canaries: Canaries) -> dict[str, str]:
    """What the admin port says, to who has its token and to who has not."""
    good = {"Authorization": f"Bearer {canaries.of('ADMIN_TOKEN')}"}
    wrong = {"Authorization": f"Bearer {canaries.of('wrong admin token')}"}
    paths = ("/metrics", "/status", "/readyz", "/livez", "/console", "/console/events")
    said = {f"admin {path}": _asked(service.admin + path, good, most=4000) for path in paths}
    assert "200" in said["admin /console/events"], "the stream is read"
    return said | {
        f"admin {path}, wrong token": _asked(service.admin + path, wrong) for path in ("/metrics", "/status")
    }


@pytest.mark.timeout(300)  # five commands, each of which asks destinations that are not there
def test_no_secret_is_told_by_a_service_or_its_commands(tmp_path: Path) -> None:
    canaries = Canaries()
    canaries.written(tmp_path)
    environment = canaries.environment()
    said: dict[str, str] = {}
    with Serving("serve", "--config", "penstock.yaml", folder=tmp_path, more=environment) as service:
        said |= _sent(service, canaries)
        said |= _watched(service, canaries)
        more = {**environment, "PENSTOCK_ADMIN_TOKEN": canaries.of("ADMIN_TOKEN")}
        sent = penstock("send", "--url", service.url, "orders", "schema.json", folder=tmp_path, more=more)
        top = penstock("top", "--once", "--url", service.admin, folder=tmp_path, more=more)
        said |= {"send": sent.stdout + sent.stderr, "top": top.stdout + top.stderr}
        service.signal(signal.SIGTERM)
        service.end()
    said["log"] = "\n".join(service.said) + service.printed
    for words in (("config",), ("doctor",), ("dlq", "show", "1")):
        done = penstock(*words, "--config", "penstock.yaml", folder=tmp_path, more=environment)
        said[" ".join(words)] = done.stdout + done.stderr
    for file in ("mistaken.yaml", "no.yaml"):
        done = penstock("check", "--config", file, folder=tmp_path, more=environment)
        assert done.returncode == 1
        said[f"check {file}"] = done.stdout + done.stderr
    for folder in ("kept", "dead", "journal"):
        for each in (tmp_path / folder).rglob("*"):
            if each.is_file():
                said[str(each.relative_to(tmp_path))] = each.read_bytes().decode("latin-1")
    assert canaries.leaked(said) == []
    assert "no object" in "".join(text for name, text in said.items() if name.startswith("dead/")), "letters are read"
    assert said["send"].rstrip().endswith("422"), "the command reached the service"
    assert "14 mistakes" in said["check mistaken.yaml"], "each is refused for its own sake"
    assert len(service.said) > 20, "the log is read, at its loudest"
