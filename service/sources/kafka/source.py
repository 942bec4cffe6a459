"""The kafka source: topics of a consumer group. A message is committed once all its events are safe, and everything
before it in its partition is: at least once, in order.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime
from typing import ClassVar, Literal, Self

from confluent_kafka import Consumer, KafkaError, KafkaException
from confluent_kafka.admin import AdminClient
from pydantic import Field, field_validator, model_validator

from service.aws.permission import OfCluster, Permission, literal
from service.delivery.route import Route
from service.errors import SettingErrors
from service.finding import Finding
from service.kafka.connection import built, connection
from service.kafka.errors import advice, reason_of
from service.kafka.properties import checked_topic
from service.kafka.settings import KafkaConfig
from service.kafka.trial import refusals
from service.outcome import Reason
from service.receiving.contract import SourceConfig
from service.receiving.handover import Handover
from service.sinks.contract import ProbeError, SinkConfig
from service.sources.kafka.assignment import Assignment
from service.sources.kafka.condition import no_topic
from service.sources.kafka.examination import examined
from service.sources.kafka.polling import Polling, batch_messages
from service.sources.kafka.prefix import names
from service.sources.kafka.properties import OWNED, WHY_OWNED, librdkafka
from service.telemetry.source import SourceGauges
from service.threads import off_loop
from service.units import ByteSize, Duration

_ACCESS = "allow this client Read and Describe on the topics, and Read on the group"
_READ_DIFFERENTLY = re.compile(r"\\[A-Za-z0-9]|\(\?|\[\^?\[[:.=]|[*+?}][?+]")
"""What a pattern may not have. librdkafka reads it as a POSIX extended expression of the C library (`classic`), or the
brokers as one of RE2/J (KIP-848), and then Python, to find the route. Read as POSIX, `^a-\\d` finds nothing, in
silence."""


class Kafka:
    """Reads topics as a member of a consumer group."""

    class Config(KafkaConfig, SourceConfig):
        """Settings of a kafka source."""

        group: str = Field(
            min_length=1, max_length=255, description="Consumer group; its members share the partitions."
        )
        topics: dict[str, str] = Field(
            min_length=1,
            description="Routes by topic, or by a pattern that begins with `^`; `events` routes by type.",
        )
        protocol: Literal["classic", "consumer"] = Field(
            default="classic",
            description="Group protocol: `classic` (cooperative-sticky), or `consumer` (KIP-848; brokers from 4.0 on).",
        )
        instance_id: str | None = Field(
            default=None,
            max_length=200,
            description="Static membership: a name that this replica keeps over restarts. Workers add their number.",
        )
        start: Literal["earliest", "latest"] | datetime = Field(
            default="earliest",
            description="Where a partition begins for which the group has no offset: `earliest`, `latest`, or a time.",
        )
        isolation: Literal["read_committed", "read_uncommitted"] = Field(
            default="read_committed", description="Whether messages of transactions that are not committed are read."
        )
        window_messages: int = Field(
            default=10_000, ge=1, description="Most messages of a partition past its commit; then it is paused."
        )
        window_bytes: ByteSize = Field(default=32 * 2**20, ge=1024, description="And most bytes of them.")
        commit_interval: Duration = Field(default=1.0, gt=0, le=60, description="How often offsets are committed.")
        revoke_timeout: Duration = Field(
            default=10.0, ge=0, le=120, description="How long a partition that goes waits for what is under way."
        )
        session_timeout: Duration = Field(
            default=45.0, ge=1, le=1800, description="After which a member that is silent is dead (`classic`)."
        )
        max_poll_interval: Duration = Field(
            default=300.0, ge=1, le=86400, description="After which a member that does not poll is; ours polls always."
        )

        owned: ClassVar[frozenset[str]] = OWNED
        why_owned: ClassVar[str] = WHY_OWNED

        @field_validator("topics")
        @classmethod
        def _check_topics(cls, topics: dict[str, str]) -> dict[str, str]:
            for topic in topics:
                if topic.startswith("^"):
                    if (found := _READ_DIFFERENTLY.search(topic)) is not None:
                        plain = "keep to what all read alike, such as [0-9] and .*"
                        raise ValueError(f"{topic!r}: not every Kafka client reads {found[0]!r}; {plain}")
                    try:
                        re.compile(topic)
                    except re.error as error:
                        raise ValueError(f"{topic!r} is no regular expression: {error}") from error
                else:
                    checked_topic(topic)
            return topics

        @model_validator(mode="after")
        def _check_times(self) -> Self:
            if self.protocol == "classic" and self.max_poll_interval < self.session_timeout:
                raise ValueError("max_poll_interval must be at least session_timeout (librdkafka demands it)")
            if self.max_poll_interval <= self.revoke_timeout:
                raise ValueError("max_poll_interval must be longer than revoke_timeout: the poll waits as long")
            return self

        @model_validator(mode="after")
        def _librdkafka_takes_them(self) -> Self:
            if (refused := refusals(self, lambda: librdkafka(self), Consumer)) is not None:
                raise refused
            return self

        @field_validator("start")
        @classmethod
        def _check_start(cls, start: str | datetime) -> str | datetime:
            if isinstance(start, datetime) and start.tzinfo is None:
                raise ValueError("a time needs its zone, such as 2026-01-31T12:00:00Z")
            return start

        @property
        def keyed(self) -> bool:
            """See `SourceConfig`."""
            return True

        def targets(self) -> Mapping[tuple[str | int, ...], str]:
            """See `SourceConfig`."""
            return {("topics", topic): route for topic, route in self.topics.items()}

        def permissions(self) -> Sequence[Permission]:
            """See `SourceConfig` (MSK developer guide, "Common use cases")."""
            if self.auth is None or self.auth.iam is None:
                return ()
            permission, group = self.auth.iam.permission, OfCluster("group", literal(self.group))
            topics = [OfCluster("topic", names(topic)) for topic in self.topics]
            return (
                permission(OfCluster("cluster"), "kafka-cluster:Connect"),
                *(permission(topic, "kafka-cluster:DescribeTopic", "kafka-cluster:ReadData") for topic in topics),
                permission(group, "kafka-cluster:AlterGroup", "kafka-cluster:DescribeGroup"),
                *(
                    permission(topic, "kafka-cluster:DescribeTopicDynamicConfiguration", doctor=True)
                    for topic in topics
                ),
            )

        def route_of(self, topic: str) -> str:
            """The route, or `events`, of a topic. Raises LookupError if none of the patterns is found in its name."""
            name = self.topics.get(topic)
            if name is None:
                # as librdkafka does: `^a|b` is found in the midst of a name too
                found = (
                    route for pattern, route in self.topics.items() if pattern[0] == "^" and re.search(pattern, topic)
                )
                name = next(found, None)
            if name is None:
                raise LookupError(f"topic {topic!r} has no route: its pattern is read in another way here; simplify it")
            return name

        def reads(self, sink: SinkConfig) -> bool:
            """See `SourceConfig`: a topic of ours, at a broker of ours."""
            topic = getattr(sink, "topic", None)
            if not isinstance(sink, KafkaConfig) or not isinstance(topic, str):
                return False
            if not {*self.brokers.split(",")} & {*sink.brokers.split(",")}:
                return False
            try:
                return bool(self.route_of(topic))
            except LookupError:
                return False

        def share(self, workers: int, worker: int) -> Self:
            """See `SourceConfig`: static members need a name each."""
            shared = super().share(workers, worker)
            if self.instance_id is None or workers == 1:
                return shared
            return shared.model_copy(update={"instance_id": f"{self.instance_id}-{worker}"})

    def __init__(self, name: str, config: Config, handover: Handover) -> None:
        self.name = name
        self._config = config
        self._handover = handover
        handover.address = config.brokers[:128]
        self._assignment = Assignment(name, config, handover, self._route)
        self._polling: Polling | None = None
        self._committing: asyncio.TimerHandle | None = None

    async def __aenter__(self) -> Self:
        """Begin to poll; the brokers may be away."""
        config, start = self._config, self._config.start
        self._polling = Polling(
            self.name,
            lambda: librdkafka(config),
            self._subscription(),
            self._assignment,
            most_messages=batch_messages(config.window_messages),
            revoke_seconds=config.revoke_timeout,
            start_ms=int(start.timestamp() * 1000) if isinstance(start, datetime) else None,
        )
        self._assignment.begin(self._polling)
        self._polling.begin()
        self._commit()
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._committing is not None:
            self._committing.cancel()
        self.stop()
        polling, self._polling = self._polling, None
        if polling is not None:
            await off_loop(polling.end)
        self._assignment.end()

    def stop(self) -> None:
        """Hand over nothing more. What is under way is committed when it is settled."""
        self._handover.stop()
        self._assignment.stop()

    def _commit(self) -> None:
        self._committing = asyncio.get_running_loop().call_later(self._config.commit_interval, self._commit)
        self._assignment.commit()

    def _subscription(self) -> list[str]:
        """The topics as they are asked for. Brokers hold a pattern against whole names (KIP-848: RE2/J, seen on Apache
        Kafka 4), librdkafka and `_route` against their beginnings, which is what a pattern means here.
        """
        topics = list(self._config.topics)
        if self._config.protocol == "classic":
            return topics
        return [f"^({topic[1:]}).*" if topic.startswith("^") else topic for topic in topics]

    def _route(self, topic: str) -> Route | None:
        """The route that a topic goes to; None for `events`. Raises LookupError as `Config.route_of` does."""
        return self._handover.route(self._config.route_of(topic))

    @property
    def gauges(self) -> SourceGauges:
        """See `Source`."""
        return self._assignment.gauges

    async def probe(self) -> None:
        """Ask for the topics' metadata. Raises ProbeError saying what is missing, unreachable or refused."""
        config = self._config
        try:
            found = await off_loop(_topics, config)
        except KafkaException as refusal:
            error = refusal.args[0]
            reason = reason_of(error)
            hint = advice(Reason.CREDENTIALS if reason is Reason.CREDENTIALS else Reason.UNREACHABLE, _ACCESS)
            raise ProbeError(f"{config.brokers}: no broker answered ({error.str()}); {hint}") from refusal
        except SettingErrors as unreadable:
            raise ProbeError(f"{config.brokers}: {unreadable}") from unreadable
        for topic in config.topics:
            if topic.startswith("^") and not any(re.match(topic, name) for name in found):
                raise ProbeError(f"no topic that this client may see fits {topic!r}; correct it, or create one")
            if not topic.startswith("^") and topic not in found:
                raise ProbeError(no_topic(topic))

    def examine(self) -> AsyncIterator[Finding]:
        """See `Examined`."""
        return examined(self._config, self._config.topics, self._config.group, _ACCESS)


def _topics(config: Kafka.Config) -> set[str]:
    """The names of the topics that this client may see. Blocks. Raises KafkaException, nearest to the cause, and
    SettingErrors."""
    complaints: list[KafkaError] = []
    # an AdminClient is a producer, which would warn, on stderr, of a consumer's properties
    admin = built(AdminClient, {"log_level": 3, **connection(config), "error_cb": complaints.append})
    try:
        return set(admin.list_topics(timeout=5).topics)
    except KafkaException as refusal:
        admin.poll(0)
        cause = next((each for each in complaints if reason_of(each) is Reason.CREDENTIALS), None)
        raise KafkaException(cause or refusal.args[0]) from refusal
