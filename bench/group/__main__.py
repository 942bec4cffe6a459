"""`python -m bench.group --rounds 5`: two replicas under load; kill -9 of one, a stop and a start of the other, more
partitions, kill -9 of the broker; with both group protocols. Needs Java and Maven.

Exit code 1 if something is lost, out of order or not committed, or more came again than was in flight.
"""

import argparse
import sys
import tempfile
from pathlib import Path

from bench.group.campaign import Campaign
from deploy.local.apache_kafka import ApacheKafka


def main() -> int:
    """Run and print what was found; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m bench.group", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="of all faults (5)")
    parser.add_argument("--rate", type=int, default=500, help="events a second (500)")
    parser.add_argument("--protocol", choices=["classic", "consumer"], action="append")
    parser.add_argument("--folder", type=Path, help="for configurations and logs, of which it keeps them")
    options = parser.parse_args()
    holds = True
    with tempfile.TemporaryDirectory() as temporary, ApacheKafka() as broker:
        for protocol in options.protocol or ["classic", "consumer"]:
            report = Campaign(broker, protocol, options.folder or Path(temporary), options.rate).run(options.rounds)
            print(f"{protocol}: {report.text()}", flush=True)
            holds = holds and report.holds
    return 0 if holds else 1


if __name__ == "__main__":
    sys.exit(main())
