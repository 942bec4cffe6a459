"""A real single-node Apache Kafka (KRaft) for tests and the quickstart, from Maven artifacts, where Java is present.

`python -m deploy.local.apache_kafka --topics a,b` prints one line of JSON, `{"bootstrap": "host:port"}`, and lives
until its standard input closes or it gets SIGTERM. It is installed once, under `.lab/kafka`; each broker's data is
in a folder of its own, which goes with it. With `--security` it has listeners that demand credentials too, each in that
line under its name, and under `certificates` the folder of the keys for the last (kafka_security.py).
"""

import fcntl
import shutil
import subprocess
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Self

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from deploy.local.child import ROOT, Child, ChildError
from deploy.local.emulator import free_port
from deploy.local.kafka_security import Security
from deploy.local.lifetime import run

VERSION = "4.3.1"
HOME = ROOT / ".lab" / "kafka"
_LIBRARIES = HOME / VERSION
_READY_SECONDS = 60.0
_ARTIFACTS = (("org.apache.kafka", "kafka_2.13", VERSION), ("org.slf4j", "slf4j-simple", "1.7.36"))
_SETTINGS = """\
process.roles=broker,controller
node.id=1
controller.quorum.bootstrap.servers=127.0.0.1:{controller}
controller.listener.names=CONTROLLER
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}{listeners}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT{protocols}
log.dirs={data}
auto.create.topics.enable=false
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
log.cleaner.backoff.ms=200
group.min.session.timeout.ms=1000
group.consumer.session.timeout.ms=3000
group.consumer.min.session.timeout.ms=1000
group.consumer.heartbeat.interval.ms=500
group.consumer.min.heartbeat.interval.ms=100
broker.session.timeout.ms=3000
broker.heartbeat.interval.ms=500
"""
"""Broker settings. The short sessions let a killed broker register again within seconds, not 12, and a group give the
partitions of a killed member of it to others within as few, not 45; compaction begins at once."""


def install() -> Path:
    """The folder of Kafka's jars, downloaded if they are not there. Raises ChildError if Java or Maven is missing."""
    missing = [name for name in ("java", "mvn") if shutil.which(name) is None]
    if missing:
        raise ChildError(
            f"Apache Kafka needs {' and '.join(missing)} on the PATH (Debian: apt-get install default-jre-headless "
            "maven); without, use librdkafka's mock cluster: python -m deploy.local.mock_cluster"
        )
    HOME.mkdir(parents=True, exist_ok=True)
    with (HOME / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not _LIBRARIES.exists():
            with tempfile.TemporaryDirectory(dir=HOME) as folder:
                _download(Path(folder)).rename(_LIBRARIES)
    return _LIBRARIES


def _download(folder: Path) -> Path:
    dependencies = "".join(
        f"<dependency><groupId>{group}</groupId><artifactId>{artifact}</artifactId><version>{version}</version></dependency>"
        for group, artifact, version in _ARTIFACTS
    )
    (folder / "pom.xml").write_text(
        "<project><modelVersion>4.0.0</modelVersion><groupId>local</groupId><artifactId>kafka</artifactId>"
        f"<version>1</version><dependencies>{dependencies}</dependencies></project>"
    )
    command = ["mvn", "-B", "-q", "-f", str(folder / "pom.xml"), "dependency:copy-dependencies"]
    command += ["-DincludeScope=runtime", f"-DoutputDirectory={folder / 'lib'}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ChildError(f"Maven could not fetch Apache Kafka {VERSION}:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return folder / "lib"


class ApacheKafka:
    """One broker on loopback, from entering to leaving it; between them it may be killed and started again."""

    def __init__(
        self, topics: Iterable[str] = (), partitions: int = 4, security: bool = False, measured: bool = False
    ) -> None:
        """One whose speed is `measured` compiles as well as Java can; others start with half the CPU."""
        self._with_security = security
        self._compiler = ["-XX:+UseG1GC"] if measured else ["-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]
        self.security: Security | None = None
        """Once entered, if asked for."""
        self._topics = list(topics)
        self._partitions = partitions
        self._broker: Child | None = None
        self._watchdog: Child | None = None
        self.bootstrap = ""
        """`host:port`, once entered; the same after `start`."""

    def __enter__(self) -> Self:
        libraries = install()
        self._folder = Path(tempfile.mkdtemp(prefix="broker-", dir=HOME))
        port, controller = free_port(), free_port()
        self.bootstrap = f"127.0.0.1:{port}"
        settings = self._folder / "server.properties"
        self._java = ["java", "-Xms256m", "-Xmx512m", *self._compiler, "-cp", f"{libraries}/*"]
        self._java += ["-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"]
        try:
            self._write(settings, port, controller)
            self._format(settings)
            self.start()
            self._create_topics()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._end()
        shutil.rmtree(self._folder)

    @property
    def announcement(self) -> dict[str, str]:
        """What its line of JSON tells."""
        if self.security is None:
            return {"bootstrap": self.bootstrap}
        return {"bootstrap": self.bootstrap, **self.security.addresses, "certificates": str(self.security.folder)}

    def start(self) -> None:
        """Start the broker, again after `kill`; returns once it serves. Raises ChildError with the end of its log."""
        command = [*self._java, "kafka.Kafka", str(self._folder / "server.properties")]
        self._broker = Child("Apache Kafka", command, self._folder / "broker.log").__enter__()
        # Java does not end when its standard input closes: this does, when we die, and takes the broker along
        watch = ["sh", "-c", 'cat; kill -9 "$0"', str(self._broker.pid)]
        self._watchdog = Child("Apache Kafka's watchdog", watch, self._folder / "watchdog.log").__enter__()
        self._broker.wait_until(self._serves, _READY_SECONDS)

    def kill(self) -> None:
        """End the broker as a crash would (SIGKILL)."""
        assert self._broker is not None
        self._broker.kill()
        self._end()

    def _end(self) -> None:
        # the watchdog first: it must not outlive the process id it guards
        for child in (self._watchdog, self._broker):
            if child is not None:
                child.stop()
        self._watchdog = self._broker = None

    def _write(self, settings: Path, port: int, controller: int) -> None:
        listeners = protocols = more = ""
        if self._with_security:
            self.security = Security(self._folder / "certificates")
            listeners, protocols, more = self.security.listeners, self.security.protocols, self.security.settings
        places = {"port": port, "controller": controller, "data": self._folder / "data"}
        settings.write_text(_SETTINGS.format(**places, listeners=listeners, protocols=protocols) + more)

    def _format(self, settings: Path) -> None:
        command = [*self._java, "kafka.tools.StorageTool", "format", "--standalone"]
        command += ["-t", "MkU3OEVBNTcwNTJENDM2Qg", "-c", str(settings)]
        command += self.security.users if self.security is not None else []
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise ChildError(f"Apache Kafka's storage could not be formatted:\n{done.stdout}{done.stderr}")

    def _serves(self) -> bool:
        try:
            return bool(self._admin().list_topics(timeout=1).brokers)
        except KafkaException:
            return False

    def _create_topics(self) -> None:
        new = [NewTopic(topic, num_partitions=self._partitions, replication_factor=1) for topic in self._topics]
        admin = self._admin()
        if new:
            for created in admin.create_topics(new).values():
                created.result(_READY_SECONDS)

    def _admin(self) -> AdminClient:
        return AdminClient({"bootstrap.servers": self.bootstrap, "log_level": 0})


if __name__ == "__main__":
    run("deploy.local.apache_kafka", __doc__, ApacheKafka, {"security": "also listeners that demand credentials"})
