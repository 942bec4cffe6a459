"""penstock doctor: everything is asked at once, nothing waits for another, and what is found is told to people."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import ClassVar, Self

import pytest

from service.config import Config, load
from service.doctor import report
from service.doctor.collecting import Report, examine
from service.finding import Finding, Level, ok, problem, warning
from service.outcome import DELIVERED, Outcome
from service.sinks.contract import Batch, Limits, ProbeError, SinkConfig

SINK = f"{__name__}:Told"
told: dict[str, str] = {}
"""How each sink behaves, by name."""


class Told:
    """A sink of somebody else's that knows its own state: `examine`."""

    class Config(SinkConfig):
        """No settings of its own."""

    carries_attributes: ClassVar[bool] = False
    limits = Limits(1, 1024, 1024)

    def __init__(self, name: str, config: Config) -> None:
        del config
        self.name = name

    async def examine(self) -> AsyncIterator[Finding]:
        """As it is told."""
        yield ok("door", f"{self.name} is there")
        match told.get(self.name):
            case "hangs":
                await asyncio.Event().wait()
            case "refuses":
                raise ProbeError("it is locked: bring the key")
            case "breaks":
                raise RuntimeError("a defect")
        yield warning("lock", "it is old", "oil it")

    async def probe(self) -> None:
        """Not asked of one that has more to say."""
        raise AssertionError

    async def write(self, batch: Batch) -> Sequence[Outcome]:
        """Takes all."""
        return [DELIVERED] * len(batch)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        return


class Plain(Told):
    """One that has a probe alone."""

    examine: ClassVar[None] = None  # type: ignore[assignment]

    async def probe(self) -> None:
        """As it is told."""
        if told.get(self.name):
            raise ProbeError(told[self.name])


def configured(folder: Path, sinks: str, more: str = "") -> Config:
    """A configuration with these sinks."""
    path = folder / "penstock.yaml"
    path.write_text(
        f"server: {{port: 0}}\nadmin: {{port: 0}}\nsinks: {{{sinks}}}\n"
        f"routes: {{orders: {{to: [one]{', dead_letter: two, ack: stored' if more else ''}}}}}\n{more}"
    )
    return load(path, {})


def by_name(reports: list[Report]) -> dict[str, list[tuple[str, str]]]:
    """Level and subject of each finding."""
    return {each.of: [(found.level.value, found.about) for found in each.findings] for each in reports}


@pytest.fixture(autouse=True)
def _forget() -> None:
    told.clear()


async def test_one_that_hangs_holds_up_no_other_and_what_it_said_before_counts(tmp_path: Path) -> None:
    told.update(one="hangs", two="refuses", three="breaks")
    names = ", ".join(f"{name}: {{type: {SINK!r}}}" for name in ("one", "two", "three", "four"))
    found = by_name(await examine(configured(tmp_path, names), seconds=0.05))
    assert found["sink one"] == [("ok", "door"), ("problem", "answer")]
    assert found["sink two"] == [("ok", "door"), ("problem", "use")]
    assert found["sink three"] == [("ok", "door"), ("problem", "start")]
    assert found["sink four"] == [("ok", "door"), ("warning", "lock")]


async def test_a_plugin_with_a_probe_alone_is_asked_that(tmp_path: Path) -> None:
    told["two"] = "nobody is at home: ring again"
    names = ", ".join(f"{name}: {{type: '{__name__}:Plain'}}" for name in ("one", "two"))
    found = {each.of: each.findings for each in await examine(configured(tmp_path, names))}
    assert found["sink one"] == (ok("use", "as configured"),)
    assert found["sink two"] == (problem("use", "nobody is at home: ring again"),)


async def test_a_port_that_is_taken_is_a_warning_for_it_may_be_the_service(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        config = configured(tmp_path, "one: {type: memory}")
        port = other.getsockname()[1]
        server = config.server.model_copy(update={"port": port})
        found = (await examine(replace(config, server=server)))[0]
    [finding] = [each for each in found.findings if each.about == "server port"]
    assert finding.level is Level.WARNING
    assert str(port) in finding.found


async def test_an_address_of_another_machine_is_a_problem(tmp_path: Path) -> None:
    config = configured(tmp_path, "one: {type: memory}")
    server = config.server.model_copy(update={"host": "192.0.2.1"})
    assert ("problem", "server port") in by_name(await examine(replace(config, server=server)))["machine"]


async def test_a_journal_is_told_its_volume_and_that_the_disk_would_be_full_before_it_is(tmp_path: Path) -> None:
    sinks = "one: {type: memory}, two: {type: memory}"
    journal = f"journal: {{path: {tmp_path}/new/journal, volume: ephemeral, max_bytes: %s}}"
    small = by_name(await examine(configured(tmp_path, sinks, journal % "64MiB")))["machine"]
    assert ("ok", "journal volume") in small
    assert ("ok", "journal space") in small
    large = by_name(await examine(configured(tmp_path, sinks, journal % "1000000GiB")))["machine"]
    assert ("warning", "journal space") in large
    assert not (tmp_path / "new").exists()


REPORTS = [
    Report("sink a", (ok("stream", "is ACTIVE"), warning("clock", "90 s behind AWS", "follow a time server"))),
    Report("sink b", (problem("topic", "x: \x1b[31mred\x1b[0m\nand more", "create it"),)),
]


def test_what_people_read_is_a_line_each_with_what_to_do_below_it() -> None:
    assert report.as_text(REPORTS) == (
        "sink a\n"
        "  ok       stream  is ACTIVE\n"
        "  warning  clock   90 s behind AWS\n"
        "                   do: follow a time server\n"
        "\n"
        "sink b\n"
        "  problem  topic   x: [31mred [0m and more\n"
        "                   do: create it\n"
        "\n"
        "1 problem, 1 warning\n"
    )


def test_what_programs_read_has_every_finding_and_how_many_are_problems() -> None:
    document = json.loads(report.as_json(REPORTS))
    assert document["problems"] == 1
    assert document["findings"][1] == {
        "of": "sink a",
        "level": "warning",
        "about": "clock",
        "found": "90 s behind AWS",
        "do": "follow a time server",
    }


def test_all_is_well_where_nothing_is_to_be_said() -> None:
    assert report.as_text([Report("sink a", (ok("stream", "is ACTIVE"),))]).endswith("\n\nall is well\n")


async def test_whose_credentials_read_the_secret_of_api_keys_is_told_if_nothing_else_is_in_aws(tmp_path: Path) -> None:
    path = tmp_path / "penstock.yaml"
    path.write_text(
        "server: {port: 0, auth: {keys_secret: keys, pepper_variable: PEPPER}}\nadmin: {port: 0}\n"
        "aws: {region: eu-west-1, endpoint_url: 'http://127.0.0.1:1'}\n"
        f"sinks: {{one: {{type: {SINK!r}}}}}\nroutes: {{orders: {{to: [one]}}}}\n"
    )
    found = by_name(await examine(load(path, {}), seconds=0.05))
    assert found["credentials"] == [("note", "credentials")]
    assert "API keys" in found
