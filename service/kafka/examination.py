"""What `penstock doctor` finds out about topics and groups, whoever uses them. All of it blocks: call it off the loop.

Asked of the brokers with Metadata, DescribeConfigs and DescribeTopics (with the operations that this client may do);
what a broker or its ACLs do not let be seen is a note.
"""

import re
import time
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from typing import Any, Final

from confluent_kafka import ConsumerGroupTopicPartitions, KafkaError, KafkaException, TopicCollection, TopicPartition
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # documented there, and imported from elsewhere
    AdminClient,
    ConfigResource,
    OffsetSpec,
)

from service.aws.settings import AwsConfig
from service.errors import SettingErrors
from service.finding import Finding, note, ok, problem, warning
from service.kafka.connection import built, connection
from service.kafka.errors import advice, reason_of
from service.kafka.settings import KafkaConfig
from service.outcome import Reason
from service.units import counted, format_size

_SECONDS: Final = 5.0
_COORDINATOR: Final = (
    KafkaError.NOT_COORDINATOR,
    KafkaError.COORDINATOR_NOT_AVAILABLE,
    KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
)
Configuration = Mapping[str, str]


async def signer(config: KafkaConfig) -> AsyncIterator[Finding]:
    """Whose credentials sign the tokens for MSK; nothing without `auth: iam`."""
    iam = config.auth.iam if config.auth is not None else None
    if iam is None:
        return
    from service.aws.examination import caller  # the SDK, which a client without IAM need not load

    settings = AwsConfig(role_arn=iam.role_arn, external_id=iam.external_id)
    async for finding in caller(settings, config.token_region()):
        yield finding


class Unreachable(Exception):
    """No broker answered. The finding says why."""

    def __init__(self, finding: Finding) -> None:
        super().__init__(finding.found)
        self.finding = finding


class Cluster:
    """The brokers, as one client sees them."""

    def __init__(self, config: KafkaConfig, access: str) -> None:
        """Connects. `access`: what to allow if it is denied something. Raises Unreachable."""
        self._access = access
        complaints: list[KafkaError] = []
        try:
            # silent: an AdminClient would write of each attempt, and of a consumer's properties, on stderr
            self._admin = built(AdminClient, {"log_level": 0, **connection(config), "error_cb": complaints.append})
            self.metadata = self._admin.list_topics(timeout=_SECONDS)
        except KafkaException as refusal:
            if hasattr(self, "_admin"):
                self._admin.poll(0)
            # librdkafka's own complaint is nearer to the cause than a time-out, the first of them nearest
            known = [*complaints, refusal.args[0]]
            cause = next((each for each in known if reason_of(each) is Reason.CREDENTIALS), known[0])
            credentials = reason_of(cause) is Reason.CREDENTIALS
            do = advice(Reason.CREDENTIALS if credentials else Reason.UNREACHABLE, access)
            about = "credentials" if credentials else "brokers"
            raise Unreachable(problem(about, f"{config.brokers}: {cause.str()}", do)) from refusal
        except SettingErrors as unreadable:
            raise Unreachable(problem("credentials", f"{config.brokers}: {unreadable}")) from unreadable

    def brokers(self) -> Finding:
        """How many there are."""
        return ok("brokers", f"{counted(len(self.metadata.brokers), 'broker')}, reached with these credentials")

    def names(self, pattern: str) -> list[str]:
        """The topics that a name means, or a pattern that begins with `^`."""
        if not pattern.startswith("^"):
            return [pattern] if pattern in self.metadata.topics else []
        return sorted(name for name in self.metadata.topics if re.match(pattern, name))

    def topic(self, name: str) -> Iterator[Finding]:
        """Existence, and whether every partition has a leader and its replicas."""
        found = self.metadata.topics.get(name)
        if found is None or found.error is not None:
            yield self._missing(name, None if found is None else found.error)
            return
        partitions = found.partitions.values()
        copies = min((len(each.replicas) for each in partitions), default=0)
        yield ok("topic", f"{name}: {counted(len(partitions), 'partition')}, replication factor {copies}")
        headless = [each.id for each in partitions if each.leader < 0]
        if headless:
            yield problem(
                "leaders",
                f"{name}: partitions {headless} have none",
                "bring their brokers back: nothing is written there",
            )

    def _missing(self, name: str, error: KafkaError | None) -> Finding:
        """Kafka says of a topic that this client may not describe that it is unknown, if it is not named."""
        if error is not None:
            return problem("topic", f"{name}: {error.str()}", advice(reason_of(error), self._access))
        do = f"create it, or correct its name; if it exists, {self._access}"
        return problem("topic", f"{name}: no such topic that this client may see", do)

    def configuration(self, name: str) -> Configuration | Finding:
        """The topic's settings, inherited ones too; a note if they cannot be seen."""
        resource = ConfigResource(ConfigResource.Type.TOPIC, name)
        try:
            found = self._admin.describe_configs([resource], request_timeout=_SECONDS)[resource].result()
        except KafkaException as refusal:
            return note(
                "topic settings",
                f"{name}: cannot be seen: {refusal.args[0].str()}",
                "allow DescribeConfigs on the topic",
            )
        return {key: str(entry.value) for key, entry in found.items() if entry.value is not None}

    def replicas(self, name: str, configuration: Configuration) -> Iterator[Finding]:
        """Whether what is acknowledged by all in sync (acks=all) is on more than one broker, and can be written at all.

        Kafka documentation, `min.insync.replicas`.
        """
        partitions = self.metadata.topics[name].partitions.values()
        least = int(configuration.get("min.insync.replicas", 1))
        copies = min((len(each.replicas) for each in partitions), default=0)
        short = [each.id for each in partitions if len(each.isrs) < least]
        if least > copies:
            yield problem(
                "replicas",
                f"{name}: min.insync.replicas {least} is more than the {counted(copies, 'replica')} that there are",
                "nothing can be written with acks=all: lower the one or raise the other",
            )
        elif short:
            yield problem(
                "replicas",
                f"{name}: partitions {short} have fewer replicas in sync than min.insync.replicas ({least})",
                "bring the brokers back: nothing is written there meanwhile",
            )
        elif least == copies and copies > 1:
            yield warning(
                "replicas",
                f"{name}: min.insync.replicas is {least} of {copies}: one broker that restarts stops all writes",
                "have one replica more than that, such as 3 and 2",
            )
        elif least < 2:
            yield warning(
                "replicas",
                f"{name}: an event counts as safe on one broker (min.insync.replicas {least} of {copies})",
                "replication factor 3 and min.insync.replicas 2, if losing that broker must not lose events",
            )
        else:
            yield ok("replicas", f"{name}: at least {least} of {copies} acknowledge")

    def size(self, name: str, configuration: Configuration, needed: int) -> Iterator[Finding]:
        """Whether the topic takes messages as large as ours may be."""
        if "max.message.bytes" not in configuration:
            return
        allowed = int(configuration["max.message.bytes"])
        if allowed < needed:
            yield problem(
                "message size",
                f"{name}: max.message.bytes is {allowed}, and `max_message` needs {needed}",
                "lower `max_message`, or raise the topic's: larger events would be refused for good",
            )
        else:
            yield ok("message size", f"{name}: {format_size(allowed)} are taken")

    def permitted(self, name: str, operation: str) -> Iterator[Finding]:
        """Whether this client may do it (`WRITE`, `READ`), as far as the brokers tell."""
        try:
            described = self._admin.describe_topics(
                TopicCollection([name]), include_authorized_operations=True, request_timeout=_SECONDS
            )[name].result()
        except KafkaException as refusal:
            yield note("permission", f"{name}: cannot be seen: {refusal.args[0].str()}")
            return
        allowed = described.authorized_operations
        if not allowed:
            yield note("permission", f"{name}: the brokers do not tell what this client may do")
        elif operation in {each.name for each in allowed}:
            yield ok("permission", f"{name}: {operation} is allowed")
        else:
            names = ", ".join(sorted(each.name for each in allowed))
            yield problem("permission", f"{name}: {operation} is not allowed, only {names}", self._access)

    def group(self, name: str, topics: Iterable[str]) -> Iterator[Finding]:
        """Who is in a consumer group, and how much of the topics it has not settled."""
        try:
            described = self._group(name)
            members = counted(len(described.members), "member")
            yield ok("group", f"{name}: {described.state.name}, {members}")
            yield self._lag(name, topics)
        except KafkaException as refusal:
            error = refusal.args[0]
            if error.code() == KafkaError.GROUP_ID_NOT_FOUND:
                yield note("group", f"{name}: is new: it begins where the setting says")
            elif reason_of(error) is Reason.ACCESS_DENIED or error.code() == KafkaError.GROUP_AUTHORIZATION_FAILED:
                yield problem("group", f"{name}: {error.str()}", self._access)
            else:
                yield note("group", f"{name}: cannot be seen: {error.name()}: {error.str()}")

    def _group(self, name: str) -> Any:
        """Raises KafkaException. A first group has no coordinator until Kafka has made its topic of offsets."""
        for pause in (0.5, 2.0, 5.0, None):
            try:
                return self._admin.describe_consumer_groups([name], request_timeout=_SECONDS)[name].result()
            except KafkaException as refusal:
                if pause is None or refusal.args[0].code() not in _COORDINATOR:
                    raise
                time.sleep(pause)
        raise AssertionError("the last attempt returns or raises")

    def _lag(self, group: str, topics: Iterable[str]) -> Finding:
        """Raises KafkaException."""
        parts = [TopicPartition(name, number) for name in topics for number in self.metadata.topics[name].partitions]
        wanted = [ConsumerGroupTopicPartitions(group, parts)]
        committed = self._admin.list_consumer_group_offsets(wanted, request_timeout=_SECONDS)[group].result()
        ends: dict[TopicPartition, Any] = self._admin.list_offsets(
            {part: OffsetSpec.latest() for part in parts},  # type: ignore[no-untyped-call]
            request_timeout=_SECONDS,
        )
        last = {(part.topic, part.partition): future.result().offset for part, future in ends.items()}
        known = [each for each in committed.topic_partitions if each.offset >= 0]
        behind = sum(max(0, last[each.topic, each.partition] - each.offset) for each in known)
        fresh = len(parts) - len(known)
        return ok("lag", f"{behind:,} messages" + (f"; {counted(fresh, 'partition')} never committed" if fresh else ""))
