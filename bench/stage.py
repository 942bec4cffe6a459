"""What every benchmark that runs services needs first: the compiled program, a core each, destinations, a folder."""

import argparse
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench import cores
from bench.contestants import Ways
from bench.measure import Bench
from bench.program import CACHE, Missing, compiled, stubs


def add_options(parser: argparse.ArgumentParser, name: str) -> None:
    """Add `--env`, for `ways`, and `--folder`, which is `name` below the cache."""
    parser.add_argument(
        "--env",
        action="append",
        default=[],
        type=_pair,
        metavar="NAME=VALUE",
        help="for ours, as PENSTOCK__SINKS__KAFKA__LINGER=5ms",
    )
    parser.add_argument(
        "--folder", type=Path, default=CACHE / name, help=f"for configuration and logs (.lab/bench/{name})"
    )


def ways(options: argparse.Namespace) -> Ways:
    """How our service is switched: `--env`, and `--flag` where there is one."""
    return Ways(dict(options.env), getattr(options, "flag", []))


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError(f"takes NAME=VALUE, not {text!r}")
    return name, value


@contextmanager
def stage(folder: Path) -> Iterator[Bench]:
    """Everything ready, until the block ends; `folder` is made. This process goes to the load's core.

    Raises SystemExit(2), having said what is missing.
    """
    try:
        program = compiled()
        service_core, load_core = cores.pair()
    except (Missing, LookupError) as missing:
        print(missing, file=sys.stderr)
        raise SystemExit(2) from None
    os.sched_setaffinity(0, {load_core})
    folder.mkdir(parents=True, exist_ok=True)
    with stubs(program, folder) as running:
        yield Bench(program, running, service_core, load_core)
