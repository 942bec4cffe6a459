"""What `penstock doctor` finds out about the topics and the group of a kafka source."""

from collections.abc import AsyncIterator, Iterable

from service.finding import Finding, problem
from service.kafka.examination import Cluster, Unreachable, signer
from service.kafka.settings import KafkaConfig
from service.sources.kafka.condition import no_topic
from service.threads import off_loop


async def examined(config: KafkaConfig, topics: Iterable[str], group: str, access: str) -> AsyncIterator[Finding]:
    """Brokers, topics, permissions, group and lag."""
    async for finding in signer(config):
        yield finding
    for finding in await off_loop(_all, config, tuple(topics), group, access):
        yield finding


def _all(config: KafkaConfig, topics: tuple[str, ...], group: str, access: str) -> list[Finding]:
    try:
        cluster = Cluster(config, access)
    except Unreachable as unreachable:
        return [unreachable.finding]
    found, known = [cluster.brokers()], list[str]()
    for pattern in topics:
        names = cluster.names(pattern)
        if not names:
            told = (
                f"no topic that this client may see fits {pattern!r}" if pattern.startswith("^") else no_topic(pattern)
            )
            found.append(problem("topic", told, f"create it, or correct its name; if it exists, {access}"))
        for name in names:
            found += [*cluster.topic(name), *cluster.permitted(name, "READ")]
        known += names
    return [*found, *cluster.group(group, dict.fromkeys(known))]
