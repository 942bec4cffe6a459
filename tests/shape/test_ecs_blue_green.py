"""What CodeDeploy is told of a new revision, and the function that tries it before producers get it."""

import http.server
import sys
import threading
import types
from typing import Any

import pytest
import yaml

from tests.shape.ecs_world import FOLDER, Filled, template

README = (FOLDER / "README.md").read_text("utf-8")


def test_what_code_deploy_is_told_is_what_the_templates_make() -> None:
    spec = yaml.safe_load((FOLDER / "appspec.yaml").read_text("utf-8"))
    (target,) = spec["Resources"]
    told = target["TargetService"]["Properties"]
    (balanced,) = Filled("service", ("CodeDeploy",)).resources["Service"]["LoadBalancers"]
    (container,) = Filled("task").resources["TaskDefinition"]["ContainerDefinitions"]
    assert told["LoadBalancerInfo"] == {key: balanced[key] for key in ("ContainerName", "ContainerPort")}
    assert balanced["ContainerName"] == container["Name"]
    assert spec["Hooks"] == [{"AfterAllowTestTraffic": "ASK"}]
    assert told["TaskDefinition"] == "TASK_DEFINITION"
    for name, output in (("TASK_DEFINITION", "TaskDefinition"), ("ASK", "Ask")):
        assert name in README
        assert output in {**template("task")["Outputs"], **template("blue-green")["Outputs"]}
    wanted = set(template("blue-green")["Parameters"]) - {"Cluster", "Vpc", "Subnets", "Traffic", "OldMinutes"}
    given = {**template("service")["Outputs"], **template("task")["Outputs"]}
    assert wanted - {"Alarm", "TestUrl"} <= set(given)


def test_the_function_that_asks_tells_code_deploy_what_it_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its code, with a service that is not there and one that is."""
    told: list[dict[str, str]] = []
    fake = types.ModuleType("boto3")
    fake.client = lambda _: types.SimpleNamespace(  # type: ignore[attr-defined]
        put_lifecycle_event_hook_execution_status=lambda **given: told.append(given)
    )
    monkeypatch.setitem(sys.modules, "boto3", fake)
    code = template("blue-green")["Resources"]["Ask"]["Properties"]["Code"]["ZipFile"]
    known: dict[str, Any] = {}
    exec(compile(code, "index.py", "exec"), known)
    known.update(TRIES=2, SECONDS=0)
    event = {"DeploymentId": "d-1", "LifecycleEventHookExecutionId": "e-1"}

    class Ready(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.path == "/readyz" else 503)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Ready) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        for path in ("/readyz", "/other"):
            monkeypatch.setenv("URL", f"http://127.0.0.1:{server.server_port}{path}")
            known["handler"](event, None)
        server.shutdown()
    assert [each["status"] for each in told] == ["Succeeded", "Failed"]
    assert {each["deploymentId"] for each in told} == {"d-1"}
