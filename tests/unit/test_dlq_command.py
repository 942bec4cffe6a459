"""`penstock dlq` on the command line: what it answers to mistakes, and what it says that it did not do."""

import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from service.cli import app
from service.config import load
from service.dlq_options import address
from tests.unit.test_dlq_replay import bury

CONFIGURATION = """
sinks:
  data: {type: memory}
  dead: {type: file, path: dead}
  printed: {type: stdout}
  own: {type: "tests.integration.hanging_sink:Hanging"}
routes:
  orders: {to: [data], dead_letter: dead}
  others: {to: [data], dead_letter: printed}
  third: {to: [data], dead_letter: own}
  none: {to: [data]}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "penstock.yaml").write_text(CONFIGURATION)
    return tmp_path


def dlq(folder: Path, *arguments: str) -> tuple[int, str, str]:
    """Exit code, standard output and standard error."""
    command, *rest = arguments
    done = CliRunner().invoke(
        app, ["dlq", command, "--config", str(folder / "penstock.yaml"), *rest], env={"COLUMNS": "200"}
    )
    return done.exit_code, done.stdout, done.stderr


def test_a_table_shows_the_letters_and_a_line_how_many(folder: Path) -> None:
    bury(folder / "dead", "a", "b", "c")
    code, out, err = dlq(folder, "list", "--route", "orders", "--limit", "2")
    assert code == 0
    head, *rows = out.splitlines()
    assert head.split() == ["ID", "ROUTE", "SINK", "REASON", "ATTEMPTS", "DEAD-LETTERED", "AT", "SIZE"]
    assert [row.split()[:5] for row in rows] == [[id, "orders", "lake", "too_large", "1"] for id in "ab"]
    assert "2 letters (there are more: --limit)" in err
    assert not (folder / "penstock-dlq").exists(), "looking leaves nothing behind"


def test_a_rehearsal_sends_nothing_and_says_what_it_would(folder: Path) -> None:
    bury(folder / "dead", "a", "b")
    code, out, err = dlq(folder, "replay", "--route", "orders", "--dry-run")
    assert (code, out) == (0, "would be sent to orders, as it came: 2\n")
    assert "2 letters selected; nothing was sent" in err


def test_nothing_is_removed_without_yes(folder: Path) -> None:
    bury(folder / "dead", "a", "b")
    code, _, err = dlq(folder, "purge", "--sink", "dead", "--id", "a")
    assert (code, "1 letter would be removed; nothing was: give --yes" in err) == (1, True)
    code, _, err = dlq(folder, "purge", "--sink", "dead", "--id", "a", "--yes")
    assert (code, "1 letter removed" in err) == (0, True)
    assert dlq(folder, "list", "--sink", "dead")[1].split("\n")[1].startswith("b ")


def test_a_letter_is_shown_whole_or_as_its_bytes(folder: Path) -> None:
    bury(folder / "dead", "a")
    assert "reason: too_large\n" in dlq(folder, "show", "a", "--sink", "dead")[1]
    assert dlq(folder, "show", "a/lake", "--sink", "dead", "--body")[1].startswith('{"specversion":"1.0","id":"a"')
    code, out, err = dlq(folder, "show", "z", "--sink", "dead")
    assert (code, out, "there is no letter of 'z'" in err) == (1, "", True)


def test_records_that_are_no_letters_are_counted_and_left(folder: Path) -> None:
    bury(folder / "dead", "a")
    with (folder / "dead" / "20260131T000000Z-0.ndjson").open("a") as file:
        file.write('{"id": "stranger"}\n')
    code, _, err = dlq(folder, "purge", "--sink", "dead", "--yes")
    assert (code, "1 record that cannot be read as dead letters, left alone" in err) == (0, True)
    assert (folder / "dead" / "20260131T000000Z-0.ndjson").read_text() == '{"id": "stranger"}\n'


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["list", "--route", "others"], 1, "sink 'printed' is of type stdout: what it was given cannot be read back"),
        (["list", "--sink", "data"], 1, "sink 'data' is of type memory: what it was given cannot be read back"),
        (["list", "--sink", "own"], 1, "which is not ours"),
        (["list", "--sink", "dead"], 1, "does not exist: it is made when the service first starts"),
        (["list", "--sink", "deda"], 1, "there is no sink 'deda'; there are: data, dead"),
        (["list", "--route", "gone"], 1, "there is no route 'gone'"),
        (["list", "--route", "none"], 1, "route 'none' has no `dead_letter`; name the sink: --sink"),
        (["list", "--reason", "to_large"], 2, "'to_large' is no reason; there are: "),
        (["list", "--since", "yesterday"], 2, "'yesterday' is no time"),
        (["list", "--s3", "bucket"], 2, "write s3://BUCKET/PREFIX"),
        (["replay", "--rate", "fast"], 2, "write 50/s or 600/m"),
        (["replay", "--rate", "0"], 2, "write 50/s or 600/m"),
        (["replay", "--sink", "dead", "--url", "localhost"], 1, "write http://HOST:PORT"),
    ],
)
def test_a_mistake_is_told_with_what_to_write(folder: Path, arguments: list[str], code: int, message: str) -> None:
    found, _, err = dlq(folder, *arguments)
    assert found == code
    assert message in " ".join(err.replace("│", " ").split())


def test_a_service_that_starts_loads_nothing_of_it() -> None:
    program = "import sys, service.cli, service.app; print([m for m in sys.modules if m.startswith('service.dlq.')])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, text=True)
    assert done.stdout == "[]\n"


@pytest.mark.parametrize(
    ("host", "url"),
    [("127.0.0.1", "http://127.0.0.1:8080"), ("::1", "http://[::1]:8080"), ("::", "http://127.0.0.1:8080")],
)
def test_the_address_of_the_service_is_one_that_this_machine_can_reach(folder: Path, host: str, url: str) -> None:
    server = f'server: {{host: "{host}", port: 8080, auth: none}}'
    (folder / "penstock.yaml").write_text(f"{server}\n{CONFIGURATION}")
    assert address(load(folder / "penstock.yaml", {})) == url
