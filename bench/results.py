"""Pages of results: of the last accepted runs, with the commands and the versions that made them; bench/RESULTS.md."""

import platform
import shlex
import subprocess
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import confluent_kafka

from bench import table, together
from bench.program import go_version
from bench.together import Together
from deploy.local.child import ROOT

FILE = ROOT / "bench" / "RESULTS.md"
PACKAGES = ("uvicorn", "httptools", "uvloop", "fastapi", "pydantic", "msgspec", "orjson", "jsonschema-rs",
            "confluent-kafka", "aiobotocore", "botocore")  # fmt: skip


def write(
    results: Sequence[table.Result],
    latency: table.Latency | None,
    all_four: Together | None,
    failures: Sequence[str],
    arguments: Sequence[str],
    file: Path = FILE,
) -> int:
    """Write the run if it is accepted: nothing failed and nothing is void. The exit code."""
    reasons = [*failures, *(f"{result.row.name}: {reason}" for result in results for reason in result.void)]
    reasons += [f"latency: {reason}" for reason in latency.void] if latency else ["there is no latency"]
    reasons += all_four.void if all_four else ["all four destinations were not run together"]

    def text() -> str:
        assert latency is not None
        assert all_four is not None
        return _text(results, latency, all_four, arguments)

    return publish(file, text, reasons)


def publish(file: Path, text: Callable[[], str], reasons: Sequence[str]) -> int:
    """Write the page, which is made only now, unless there are `reasons` why the run is not accepted. The exit code."""
    if reasons:
        print(f"{file.name} stays as it was; this run is not accepted:", *reasons, sep="\n  ", file=sys.stderr)
        return 1
    file.write_text(text(), "utf-8")
    print(f"written: {file}")
    return 0


def page(title: str, module: str, arguments: Sequence[str], lines: Sequence[str]) -> str:
    """The text of a page: how it was made, `lines`, and with what."""
    command = shlex.join(["python", "-m", module, *_elsewhere(arguments)])
    told = f"`{command}` on {datetime.now(UTC):%Y-%m-%d}. How to read it: [README.md](README.md)."
    return "\n".join([f"# {title}", "", told, *lines, "", *_versions(), ""])


def _elsewhere(arguments: Sequence[str]) -> list[str]:
    """The arguments without `--folder`, which is a path of the machine, and makes no difference."""
    kept: list[str] = []
    skipped = False
    for argument in arguments:
        if not skipped and not argument.startswith("--folder"):
            kept.append(argument)
        skipped = argument == "--folder"
    return kept


def _text(results: Sequence[table.Result], latency: table.Latency, all_four: Together, arguments: Sequence[str]) -> str:
    return page(
        "The last accepted run",
        "bench",
        arguments,
        [
            "Ratios hold on other machines; events a second do not.",
            "",
            table.markdown(results),
            "",
            "```",
            *table.latency_lines(latency),
            *together.lines(all_four),
            table.memory_line(results),
            "```",
            "",
            "Microseconds of CPU per event, of the request machinery (the ceiling) and of each primitive:",
            "",
            "```",
            *table.parts_lines(results),
            "```",
        ],
    )


def _versions() -> list[str]:
    """What the run was made with, a line each, as a list in Markdown."""
    python = f"Python {platform.python_version()}, {go_version()}, librdkafka {confluent_kafka.libversion()[0]}"
    packages = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    return [f"- {_commit()}", f"- {python}, {packages}", f"- Linux {platform.release()}, {_processor()}"]


def _commit() -> str:
    def git(*words: str) -> str:
        return subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=False).stdout.strip()

    dirty = ", with changes that were not committed" if git("status", "--porcelain", "--", "service", "bench") else ""
    return f"commit {git('rev-parse', '--short=12', 'HEAD') or 'unknown'}{dirty}"


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())
