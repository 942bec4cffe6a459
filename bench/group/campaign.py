"""The faults, one after the other under load, and what became of each event."""

import itertools
import json
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewPartitions, NewTopic
from msgspec import Struct

from bench.group.load import Load
from bench.group.replica import Replica
from deploy.local.apache_kafka import ApacheKafka

PARTITIONS: Final = 4
MORE_PARTITIONS: Final = 6
LOOK_SECONDS: Final = 0.05
PATIENCE_SECONDS: Final = 60.0


class Report(Struct):
    """What was found."""

    produced: int
    lost: int
    twice: int
    """Deliveries of what had been delivered."""
    exposed: int
    """Delivered and not committed when something was killed: as many may come again."""
    disordered: int
    """Events that came before an earlier one of their key."""
    lag: int
    uncommitted: int
    """Between what is committed and the ends of the partitions."""
    exits: list[int]
    astray: float
    """Events that one scrape before each end did not account for."""

    @property
    def holds(self) -> bool:
        """Whether what is promised is so."""
        bad = self.lost or self.disordered or self.lag or self.uncommitted or any(self.exits) or self.astray
        return not bad and self.twice <= self.exposed

    def text(self) -> str:
        """In one line."""
        return ", ".join(f"{name} {value}" for name, value in zip(self.__struct_fields__, _values(self), strict=True))


def _values(report: Report) -> list[Any]:
    return [getattr(report, name) for name in report.__struct_fields__]


class Campaign:
    """Two replicas of one group on a broker, under load."""

    def __init__(self, broker: ApacheKafka, protocol: str, folder: Path, per_second: int) -> None:
        self._broker = broker
        self._topic = self._group = f"{folder.name}-{protocol}"
        self._out = folder / f"out-{protocol}"
        self._admin = AdminClient({"bootstrap.servers": broker.bootstrap, "log_level": 0})
        self._admin.create_topics([NewTopic(self._topic, PARTITIONS, 1)])[self._topic].result(30)
        self._load = Load(broker.bootstrap, self._topic, PARTITIONS, per_second)
        self._delivered = Counter[tuple[str, int]]()
        self._read = 0
        """Bytes of what was delivered."""
        self._exposed = 0
        self._exits: list[int] = []
        source = {
            "type": "kafka",
            "brokers": broker.bootstrap,
            "group": self._group,
            "topics": {self._topic: "orders"},
            "codec": "json",
            "protocol": protocol,
            "session_timeout": "2s",
            "commit_interval": "200ms",
            "properties": {"topic.metadata.refresh.interval.ms": "500"},
        }
        sink = {"type": "bench.group.sink:Shared", "path": str(self._out), "closed": str(folder / "closed")}
        self._replicas = [
            Replica(
                folder / f"{protocol}-{name}",
                {
                    "server": {"port": 0, "deregister_delay": "0s"},
                    "admin": {"port": 0},
                    "logs": {"level": "debug"},
                    "sinks": {"out": {**sink, "order": "key"}, "dead": {"type": "file", "path": "dead"}},
                    "routes": {"orders": {"to": ["out"], "key": "/key", "dead_letter": "dead"}},
                    "sources": {"group": source},
                },
            )
            for name in "ab"
        ]

    def run(self, rounds: int) -> Report:
        """Each fault so many times."""
        a, b = self._replicas
        with self._load, a, b:
            self._both_read()
            for number in range(rounds):
                a.kill()
                self._expose()
                self._goes_on()
                a.start()
                self._both_read()
                self._exits.append(b.stop())
                self._goes_on()
                b.start()
                self._both_read()
                self._more_partitions(PARTITIONS + (MORE_PARTITIONS - PARTITIONS) * (number + 1))
                committed = self._committed()
                self._broker.kill()
                self._broker.start()
                self._goes_on()
                self._both_read()
                self._expose(committed)
            self._load.end()
            _until(lambda: len(self._counts()) >= len(self._load.acknowledged), "all is delivered")
            _until(lambda: not self._lag(), "the lag is nothing")
            report = self._report()
            self._exits += [a.stop(), b.stop()]
            report.exits = self._exits
            report.astray = a.astray + b.astray
        return report

    # --- what is waited for

    def _both_read(self) -> None:
        """Every partition is read, and each replica reads some."""

        def read() -> bool:
            parts = [replica.source["partitions"] for replica in self._replicas]
            return all(parts) and sum(parts) == self._load.partitions

        _until(read, "both replicas read")

    def _goes_on(self) -> None:
        """What is produced from now on is delivered, of every partition."""
        last: dict[int, tuple[str, int]] = {}
        known = len(self._load.acknowledged)

        def delivered() -> bool:
            # copied in one piece: while tuples are made of it, a collection may let the producing thread add to it
            acknowledged = self._load.acknowledged.copy()
            for key, (partition, _) in itertools.islice(acknowledged.items(), known, None):
                last.setdefault(partition, key)
            counts = self._counts()
            return len(last) == self._load.partitions and all(key in counts for key in last.values())

        _until(delivered, "events of every partition are delivered")

    def _more_partitions(self, count: int) -> None:
        self._admin.create_partitions([NewPartitions(self._topic, count)])[self._topic].result(30)
        self._load.partitions = count
        self._both_read()
        self._goes_on()

    # --- what is known

    def _counts(self) -> Counter[tuple[str, int]]:
        """How often each event was delivered, in the order of the first time."""
        if self._out.exists():
            with self._out.open("rb") as file:
                file.seek(self._read)
                for line in file:
                    if not line.endswith(b"\n"):
                        break
                    self._read += len(line)
                    event = json.loads(line)
                    self._delivered[event["key"], event["n"]] += 1
        return self._delivered

    def _committed(self) -> dict[int, int]:
        return {number: committed for number, (committed, _) in self._offsets().items()}

    def _offsets(self) -> dict[int, tuple[int, int]]:
        """What is committed of each partition, and its end."""
        settings = {"bootstrap.servers": self._broker.bootstrap, "group.id": self._group, "log_level": 0}
        consumer = Consumer(settings)
        try:
            asked = [TopicPartition(self._topic, number) for number in range(self._load.partitions)]
            return {
                each.partition: (max(0, each.offset), consumer.get_watermark_offsets(each, timeout=10)[1])
                for each in consumer.committed(asked, timeout=10)
            }
        finally:
            consumer.close()

    def _expose(self, committed: dict[int, int] | None = None) -> None:
        """Something was killed: what is delivered past the commit may come again."""
        if committed is None:
            committed = self._committed()
        acknowledged = self._load.acknowledged
        places = [acknowledged[key] for key in self._counts() if key in acknowledged]
        self._exposed += sum(offset >= committed.get(partition, 0) for partition, offset in places)

    def _lag(self) -> int:
        return sum(int(replica.source["lag"]) for replica in self._replicas)

    def _uncommitted(self) -> int:
        return sum(end - committed for committed, end in self._offsets().values())

    def _report(self) -> Report:
        _until(lambda: not self._uncommitted(), "all is committed")
        counts = self._counts()
        last: dict[str, int] = {}
        disordered = 0
        for key, number in counts:
            disordered += number != last.get(key, -1) + 1
            last[key] = number
        return Report(
            produced=len(self._load.acknowledged),
            lost=len(self._load.acknowledged.keys() - counts.keys()),
            twice=counts.total() - len(counts),
            exposed=self._exposed,
            disordered=disordered,
            lag=self._lag(),
            uncommitted=self._uncommitted(),
            exits=[],
            astray=0.0,
        )


def _until(holds: Callable[[], bool], what: str) -> None:
    """Return once it holds. Raises TimeoutError naming what did not come."""
    end = time.monotonic() + PATIENCE_SECONDS
    while not holds():
        if time.monotonic() > end:
            raise TimeoutError(f"waited for: {what}")
        time.sleep(LOOK_SECONDS)
