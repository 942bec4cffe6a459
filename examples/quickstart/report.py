"""What the quickstart tells on the terminal: the table of accounts, the refused flights, and what to try next."""

import json
from collections import Counter
from collections.abc import Sequence
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from examples.quickstart.ledger import Destination, Ledger
from examples.quickstart.resources import INCOMING

TITLES = {
    Destination.STREAM: "Kinesis stream",
    Destination.LAKE: "Firehose to S3",
    Destination.QUEUE: "SQS queue",
    Destination.TOPIC: "Kafka topic",
    Destination.DEAD: "dead letters",
}
SAMPLE = {
    "year": 2013,
    "month": 12,
    "day": 31,
    "carrier": "UA",
    "flight": 1545,
    "origin": "EWR",
    "dest": "IAH",
    "sched_dep_time": 515,
    "dep_time": 517,
}
_COLUMNS = ("sent", "delivered", "rejected", "found", "missing", "duplicates")
_MOST_ARRIVALS = 8


def accounts(console: Console, ledger: Ledger) -> None:
    """Print the table, whose lines agree or not."""
    # 80 columns hold all 336,776 flights.
    table = Table(title=f"{len(ledger):,} flights, and where they are", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("destination", no_wrap=True)
    for column in _COLUMNS:
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    for account in ledger.accounts():
        numbers = (
            account.sent,
            account.delivered,
            account.rejected,
            account.found,
            account.missing,
            account.duplicates,
        )
        verdict = "[green]✓" if account.agrees else "[bold red]✗"
        table.add_row(TITLES[account.destination], *(f"{number:,}" for number in numbers), verdict)
    console.print(table)
    for account in ledger.accounts():
        if account.surplus:
            console.print(
                f"{TITLES[account.destination]}: {account.surplus:,} found that were not answered as delivered."
            )
    if ledger.sent_again:
        console.print(f"{ledger.sent_again:,} events were sent again because the gateway asked for it.")


def refusals(console: Console, results: Sequence[dict[str, Any]]) -> None:
    """Say which events were refused, and why."""
    if not results:
        return
    first = results[0]
    detail = first.get("error", {}).get("detail", "")
    console.print(
        f"{len(results):,} cancelled flights that were posted have no dep_time: refused, and kept among the dead "
        f"letters (SQS queue flights-dead).\nThe first: {first['id']}  {detail}",
        markup=False,
        highlight=False,
        soft_wrap=True,
    )


def ways(console: Console, events: int, written: int) -> None:
    """Say by which way the events came."""
    console.print(
        f"{events - written:,} flights were posted, {written:,} written to the Kafka topic {INCOMING}, which Penstock "
        "reads.",
        markup=False,
        highlight=False,
        soft_wrap=True,
    )


def invitation(console: Console, port: int, admin_port: int) -> None:
    """Print what to try while everything is up. Each command can be pasted as it stands."""
    url = f"localhost:{port}/v1/flights"
    lines = (
        "",
        "Send a flight; it is shown below when it has arrived:",
        f"  curl --json '{_compact(SAMPLE)}' {url}",
        "One that never departed is refused (422):",
        f"  curl --json '{_compact(SAMPLE | {'dep_time': None})}' {url}",
        f"Docs     http://127.0.0.1:{port}/docs",
        f"Console  http://127.0.0.1:{admin_port}/console",
        f"Metrics  http://127.0.0.1:{admin_port}/metrics",
        f"Status   http://127.0.0.1:{admin_port}/status",
        "Logs     .lab/run/",
        "Ctrl-C stops everything.",
        "",
    )
    # soft_wrap, because a command broken into lines cannot be pasted
    console.print("\n".join(lines), markup=False, highlight=False, soft_wrap=True)


def arrivals(console: Console, found: Counter[tuple[Destination, str]]) -> None:
    """Print what has just been found: each event, or how many where there are many."""
    if len(found) <= _MOST_ARRIVALS:
        for destination, id in found:
            console.print(f"found in {TITLES[destination]}: {id}", markup=False, highlight=False, soft_wrap=True)
        return
    for destination, count in Counter(destination for destination, _ in found).items():
        console.print(f"found in {TITLES[destination]}: {count:,} events", markup=False, highlight=False)


def _compact(event: dict[str, Any]) -> str:
    return json.dumps(event, separators=(",", ":"))
