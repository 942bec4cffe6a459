"""`python -m bench.crash --kills 200`: kill -9 under load, then one stuck event with many behind it, then kill -9.

Exit code 1 if something that was acknowledged is lost, or more is sent again than was in flight.
"""

import argparse
import sys
import tempfile
from pathlib import Path

import uvloop

from bench.crash import kills, stuck


def main() -> int:
    """Run both and print what was found; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m bench.crash", description=__doc__)
    parser.add_argument("--kills", type=int, default=200, help="under load (200); 0 for none")
    parser.add_argument("--behind", type=int, default=100_000, help="events behind the stuck one (100000); 0 for none")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--folder", type=Path, help="for journal, configuration and logs, of which it keeps them")
    options = parser.parse_args()
    reports = []
    with tempfile.TemporaryDirectory() as temporary:
        folder: Path = options.folder or Path(temporary)
        for name, many, run in (("kills", options.kills, kills.run), ("stuck", options.behind, stuck.run)):
            if many:
                (folder / name).mkdir(parents=True)
                reports.append(uvloop.run(run(many, options.seed, folder / name)))
                print(reports[-1].text(), flush=True)
    return 0 if all(report.holds for report in reports) else 1


if __name__ == "__main__":
    sys.exit(main())
