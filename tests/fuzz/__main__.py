"""`python -m tests.fuzz [--seconds 60] [NAME...]`: search each decoder for input that it neither takes nor refuses.

The seconds are shared by all. Under `.fuzz/` lies what guides the next search, and `findings/`: inputs, and what became
of each. Exit code 1 if there is one.
"""

import argparse
import importlib.util
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.fuzz.targets import CORPUS, MOST_BYTES, NAMES

FOLDER: Final = Path(".fuzz")
INPUT_SECONDS: Final = 10
"""Longest that one input may take: a hundred times as long as any should."""
MOST_MEMORY: Final = 1024
"""MiB of a whole search."""
_RUNS: Final = re.compile(rb"^(?:Done |#)(\d+)", re.MULTILINE)


@dataclass(frozen=True)
class Searched:
    """What came of one harness."""

    name: str
    runs: int
    findings: tuple[Path, ...]
    broken: bool
    """Whether it ended before its time, with or without an input to show for it."""


def search(name: str, seconds: int, guided: bool) -> Searched:
    """Run one harness in a process of its own."""
    grown, findings = FOLDER / "corpus" / name, FOLDER / "findings" / name
    grown.mkdir(parents=True, exist_ok=True)
    findings.mkdir(parents=True, exist_ok=True)
    before = set(findings.iterdir())
    if guided:
        options = [
            f"-max_total_time={seconds}", f"-max_len={MOST_BYTES}", f"-timeout={INPUT_SECONDS}",
            f"-rss_limit_mb={MOST_MEMORY}", f"-artifact_prefix={findings}/", "-print_final_stats=0", "-verbosity=1",
            str(grown), str(CORPUS / name),
        ]  # fmt: skip
        command = [sys.executable, "-m", "tests.fuzz.guided", name, *options]
    else:
        command = [sys.executable, "-m", "tests.fuzz.drawn", name, str(seconds), str(findings)]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    told = done.stdout + done.stderr
    found = tuple(sorted(set(findings.iterdir()) - before))
    for path in found:
        path.with_name(f"{path.name}.txt").write_bytes(told[-20_000:])
    if done.returncode and not found:
        sys.stderr.write(told[-3000:].decode(errors="replace"))
    runs = [int(each) for each in _RUNS.findall(told)]
    return Searched(name, max(runs, default=0), found, bool(done.returncode))


def main() -> int:
    """Search, and say what was found."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description="Fuzz the decoders.")
    parser.add_argument("--seconds", type=int, default=60, help="of all together")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"which of {', '.join(NAMES)}; all")
    options = parser.parse_args()
    names = options.names or list(NAMES)
    if unknown := sorted(set(names) - set(NAMES)):
        parser.error(f"there is no {', '.join(unknown)}; there are {', '.join(NAMES)}")
    guided = importlib.util.find_spec("atheris") is not None
    each = max(1, options.seconds // len(names))
    print(f"{'libFuzzer (atheris)' if guided else 'Hypothesis'}, {each} s for each of {len(names)}", flush=True)
    worst = 0
    for name in names:
        searched = search(name, each, guided)
        worst |= searched.broken
        said = "nothing found" if not searched.broken else f"ENDED: {len(searched.findings)} found"
        print(f"{name:<14} {searched.runs:>10,} runs  {said}", flush=True)
        for path in searched.findings:
            print(f"    {path}  (what was raised: {path}.txt)", flush=True)
    if worst:
        print("To make a finding a test: mend it, and move the input to tests/fuzz/corpus/NAME/WHAT-IT-IS")
    return worst


if __name__ == "__main__":
    sys.exit(main())
