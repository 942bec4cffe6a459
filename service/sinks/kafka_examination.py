"""What `penstock doctor` finds out about the topic of a kafka sink."""

from collections.abc import AsyncIterator

from service.finding import Finding, ok, warning
from service.kafka.examination import Cluster, Configuration, Unreachable, signer
from service.kafka.settings import KafkaConfig
from service.threads import off_loop


async def examined(config: KafkaConfig, topic: str, needed: int, access: str) -> AsyncIterator[Finding]:
    """Brokers, topic, replicas, message size, clean-up and permission. `needed`: bytes of the largest message."""
    async for finding in signer(config):
        yield finding
    for finding in await off_loop(_all, config, topic, needed, access):
        yield finding


def _all(config: KafkaConfig, topic: str, needed: int, access: str) -> list[Finding]:
    try:
        cluster = Cluster(config, access)
    except Unreachable as unreachable:
        return [unreachable.finding]
    found = [cluster.brokers(), *cluster.topic(topic)]
    if not cluster.names(topic) or cluster.metadata.topics[topic].error is not None:
        return found
    settings = cluster.configuration(topic)
    if isinstance(settings, Finding):
        found.append(settings)
    else:
        found += [*cluster.replicas(topic, settings), *cluster.size(topic, settings, needed), _cleanup(topic, settings)]
    return [*found, *cluster.permitted(topic, "WRITE")]


def _cleanup(topic: str, settings: Configuration) -> Finding:
    policy = settings.get("cleanup.policy", "delete")
    if "compact" in policy:
        return warning(
            "clean-up",
            f"{topic}: cleanup.policy is {policy}: it keeps the last event of a key, and refuses those without one",
            "give its routes a `key`, or use a topic with cleanup.policy=delete",
        )
    return ok("clean-up", f"{topic}: {policy}")
