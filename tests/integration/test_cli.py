"""The `penstock` command as its users have it: real processes, exit codes, sentences and signals."""

import json
import re
import signal
import socket
import time
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import yaml

from service import __version__
from tests.integration.command import ANY_PORT, Serving, penstock

COMMANDS = {"serve", "dev", "check", "doctor", "config", "send", "key", "dlq", "journal", "generate", "top"}
COMMANDS |= {"openapi", "healthcheck"}
MEMORY = "sinks: {data: {type: memory}}\nroutes: {orders: {to: [data]}}\n"
HANGING = """
server: {drain_timeout: 20s}
sinks: {stuck: {type: "tests.integration.hanging_sink:Hanging"}}
routes: {orders: {to: [stuck]}}
"""
SCHEMA = '{"type": "object", "required": ["total"], "properties": {"total": {"type": "number"}}}'


def write(folder: Path, text: str) -> Path:
    path = folder / "penstock.yaml"
    path.write_text(text)
    return path


def test_the_version_is_told(tmp_path: Path) -> None:
    done = penstock("--version", folder=tmp_path)
    assert (done.returncode, done.stdout) == (0, f"penstock {__version__}\n")


def test_help_names_every_command_and_no_hidden_one(tmp_path: Path) -> None:
    shown = penstock("--help", folder=tmp_path).stdout
    assert set(re.findall(r"^[│|] (\w+) ", shown, re.MULTILINE)) == COMMANDS
    assert penstock(folder=tmp_path).returncode == 2


def test_a_wrong_command_is_wrong_usage(tmp_path: Path) -> None:
    assert penstock("sevre", folder=tmp_path).returncode == 2
    assert penstock("serve", "--confg", "x", folder=tmp_path).returncode == 2


# serve


def test_without_a_configuration_events_go_to_files_and_only_this_machine_may_send(tmp_path: Path) -> None:
    with Serving("serve", folder=tmp_path) as serving:
        assert "written to ./penstock-data, and only this machine may send" in serving.said[0]
        assert serving.url.startswith("http://127.0.0.1:")
        status, answer = serving.post("default", {"total": 5})
        assert (status, answer["results"][0]["status"]) == (200, "delivered")
        serving.signal(signal.SIGTERM)
        serving.end_well()
    (file,) = (tmp_path / "penstock-data").glob("*.ndjson")
    (line,) = file.read_text().splitlines()
    assert json.loads(line)["data"] == {"total": 5}


def test_logs_are_lines_of_json_when_nobody_watches(tmp_path: Path) -> None:
    write(tmp_path, MEMORY)
    with Serving("serve", folder=tmp_path) as serving:
        serving.signal(signal.SIGTERM)
        serving.end_well()
    messages = [json.loads(line)["message"] for line in serving.said]
    assert messages[-2:] == ["draining", "drained"]
    assert "serving" in messages


@pytest.mark.parametrize("section", ["server", "admin"])
def test_a_taken_port_is_told_in_a_sentence(tmp_path: Path, section: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = penstock("serve", folder=tmp_path, more=ANY_PORT | {f"PENSTOCK__{section.upper()}__PORT": str(port)})
    assert done.returncode == 1
    assert f"{section}.port: cannot bind 127.0.0.1:{port}: Address already in use; choose another with" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_either_signal_ends_it_with_0_when_everything_was_settled(tmp_path: Path, number: signal.Signals) -> None:
    write(tmp_path, MEMORY)
    with Serving("serve", folder=tmp_path) as serving:
        assert serving.post("orders", {})[0] == 200
        serving.signal(number)
        serving.end_well()


def test_it_ends_with_3_when_events_had_to_be_given_back(tmp_path: Path) -> None:
    write(tmp_path, HANGING)
    with (
        Serving("serve", folder=tmp_path, more={"PENSTOCK__SERVER__DRAIN_TIMEOUT": "100ms"}) as serving,
        ThreadPoolExecutor() as pool,
    ):
        sent = pool.submit(serving.post, "orders", {})
        _wait_until_held(serving, sent)
        serving.signal(signal.SIGTERM)
        status, answer = sent.result()
        assert serving.end() == 3
    assert (status, answer["results"][0]["retryable"]) == (503, True)
    assert json.loads(serving.said[-1])["everything_settled"] is False


def test_a_second_signal_ends_it_at_once(tmp_path: Path) -> None:
    write(tmp_path, HANGING)
    with (
        Serving("serve", folder=tmp_path, more={"PENSTOCK__SERVER__DEREGISTER_DELAY": "8s"}) as serving,
        ThreadPoolExecutor() as pool,
    ):
        sent = pool.submit(serving.post, "orders", {})
        _wait_until_held(serving, sent)
        serving.signal(signal.SIGTERM)
        draining = serving.until("draining")
        serving.signal(signal.SIGINT)
        signalled = time.monotonic()
        assert sent.result()[0] == 503
        assert serving.end() == 3
    assert time.monotonic() - signalled < 5, "it went on serving, or waited for its lanes"
    assert draining["held_events"] == 1
    assert any("a second signal" in line for line in serving.said)


def _wait_until_held(serving: Serving, sent: Future[Any]) -> None:
    """Return once a lane holds the event."""
    while "penstock_lane_events_held{" not in serving.get("/metrics"):
        assert not sent.done(), sent.result()


# check, config, doctor


def test_check_says_what_is_wrong_and_starts_nothing(tmp_path: Path) -> None:
    assert penstock("check", "-c", write(tmp_path, MEMORY), folder=tmp_path).returncode == 0
    (tmp_path / "keys.yaml").write_text("keys: []\nmore: 1\n")
    write(
        tmp_path, "server: {prot: 1, auth: {keys_file: keys.yaml, pepper_file: pepper}}\nlogs: {levl: info}\n" + MEMORY
    )
    done = penstock("check", folder=tmp_path)
    assert done.returncode == 1
    assert done.stdout == ""
    lines = done.stderr.splitlines()
    assert lines[0].startswith("penstock.yaml:1: server.prot: is not a setting; did you mean `port`?")
    assert lines[1].startswith("penstock.yaml:2: logs.levl: is not a setting; did you mean `level`?")
    assert lines[2:] == ["2 mistakes in the configuration; nothing was started"]


def test_check_and_serve_refuse_the_same_keys(tmp_path: Path) -> None:
    (tmp_path / "keys.yaml").write_text("keys: {}\n")
    (tmp_path / "pepper").write_text("0123456789abcdef" * 2)
    write(tmp_path, "server: {auth: {keys_file: keys.yaml, pepper_file: pepper}}\n" + MEMORY)
    check, serve = (penstock(command, folder=tmp_path, more=ANY_PORT) for command in ("check", "serve"))
    assert check.returncode == serve.returncode == 1
    assert check.stderr == serve.stderr
    assert check.stderr.startswith("penstock.yaml:1: server.auth: keys.yaml: is no list of keys")


def test_check_counts_and_mentions_what_is_hardly_meant(tmp_path: Path) -> None:
    write(tmp_path, "sinks: {data: {type: memory}, spare: {type: memory}}\nroutes: {orders: {to: [data]}}\n")
    done = penstock("check", folder=tmp_path)
    assert done.stdout == "penstock.yaml: no mistakes; 2 sinks, 1 route\n"
    assert done.stderr == "note: sinks.spare: no route uses it; it is not started\n"


def test_check_counts_sources_and_doctor_asks_them(tmp_path: Path) -> None:
    write(
        tmp_path,
        "sinks: {data: {type: memory}, dead: {type: file, path: dead}}\n"
        "routes: {orders: {to: [data], dead_letter: dead}}\n"
        "sources: {stream: {type: firehose, codec: json, route: orders}}\n",
    )
    assert penstock("check", folder=tmp_path).stdout == "penstock.yaml: no mistakes; 2 sinks, 1 route, 1 source\n"
    assert "source stream\n  note     endpoint" in penstock("doctor", folder=tmp_path).stdout


def test_what_config_prints_passes_check_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "order.json").write_text(SCHEMA)
    write(
        tmp_path,
        "admin: {token: hidden-from-view}\nsinks: {data: {type: file, path: data}}\n"
        "routes: {orders: {to: [data], schema: {type: jsonschema, file: order.json}}}\n",
    )
    shown = penstock("config", folder=tmp_path, more={"PENSTOCK__SERVER__PORT": "8181"})
    assert shown.returncode == 0
    assert "hidden-from-view" not in shown.stdout
    assert yaml.safe_load(shown.stdout)["server"]["port"] == 8181
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    write(elsewhere, shown.stdout)
    done = penstock("check", folder=elsewhere)
    assert (done.returncode, done.stderr) == (0, "")


def test_doctor_asks_every_destination(tmp_path: Path) -> None:
    write(tmp_path, "sinks: {good: {type: memory}, bad: {type: file, path: data}}\nroutes: {orders: {to: [good, bad]}}")
    (tmp_path / "data").mkdir()
    # what a folder of which nothing is to be had looks like to any user, root too: it is there, and cannot be read
    (tmp_path / "data" / "20260101T000000Z-0.ndjson.open").mkdir()
    done = penstock("doctor", folder=tmp_path)
    assert done.returncode == 1
    assert "sink good\n  ok " in done.stdout
    (bad,) = [line for line in done.stdout.splitlines() if line.startswith("  problem ")]
    assert "Is a directory" in bad
    assert done.stdout.splitlines()[-1].startswith("1 problem")
    assert "Traceback" not in done.stderr
    found = json.loads(penstock("doctor", "--json", folder=tmp_path).stdout)
    assert found["problems"] == 1
    assert {each["of"] for each in found["findings"]} == {"machine", "sink good", "sink bad"}
    assert penstock("doctor", "-c", write(tmp_path, MEMORY), folder=tmp_path).returncode == 0


# dev


def test_dev_prints_events_whatever_the_sinks_are(tmp_path: Path) -> None:
    write(
        tmp_path,
        "sinks: {stream: {type: kinesis, stream: orders}, dead: {type: sqs, queue: dead}}\n"
        "routes: {orders: {to: [stream], dead_letter: dead, max_event: 100KiB}}\n",
    )
    with Serving("dev", folder=tmp_path) as serving:
        status, answer = serving.post("orders", {"total": 7})
        assert (status, answer["failed"]) == (200, 0)
        assert json.loads(serving.stdout.readline())["data"] == {"total": 7}
        serving.signal(signal.SIGINT)
        serving.end_well()
