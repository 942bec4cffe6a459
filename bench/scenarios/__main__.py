"""`python -m bench.scenarios NAME [--seconds 60]`: one bad day, a table, the verdict (exit code 1 if a bound fails).

Figures are ratios and counts; the shorter a run, the more its warm-up weighs.
"""

import argparse
import sys
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path

import uvloop

from bench.scenarios import aggregated, all_throttled, dead_sink, greedy, hot_key, partial, slow_then_fast, throttled
from bench.scenarios.report import Report
from bench.scenarios.world import divide_cores

SCENARIOS: dict[str, Callable[[float, Path], Awaitable[Report]]] = {
    "throttled": throttled.run,
    "shared": throttled.run_shared,
    "hot_key": hot_key.run,
    "partial": partial.run,
    "slow_then_fast": slow_then_fast.run,
    "dead_sink": dead_sink.run,
    "dead_kafka": dead_sink.run_kafka,
    "all_throttled": all_throttled.run,
    "aggregated": aggregated.run,
    "greedy": greedy.run,
}


async def _run(name: str, seconds: float) -> Report:
    with tempfile.TemporaryDirectory() as folder:
        return await SCENARIOS[name](seconds, Path(folder))


def main() -> None:
    """Run the scenario that is named."""
    parser = argparse.ArgumentParser(prog="python -m bench.scenarios", description=__doc__)
    parser.add_argument("name", choices=SCENARIOS)
    parser.add_argument("--seconds", type=float, default=60.0)
    options = parser.parse_args()
    divide_cores()
    report = uvloop.run(_run(options.name, options.seconds))
    print(report.text())
    sys.exit(not report.holds)


if __name__ == "__main__":
    main()
