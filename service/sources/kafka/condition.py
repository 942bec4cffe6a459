"""What the brokers say to a consumer: how much there is to come, and what is wrong. In the thread that polls."""

import asyncio
import logging
from collections.abc import Collection, Sequence
from time import monotonic
from typing import Final

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from service.sources.kafka.listener import Listener, tell
from service.sources.kafka.partition import Key

log = logging.getLogger(__name__)

ASK_SECONDS: Final = 2.0
"""How long a question to the brokers may take."""
CALM_SECONDS: Final = 3.0
"""After which what librdkafka has not said again is over, if the brokers answer."""
NOBODY: Final = "no broker answers"
_OF_ONE_BROKER: Final = frozenset({KafkaError._TRANSPORT, KafkaError._RESOLVE, KafkaError._TIMED_OUT})
"""No trouble while another answers; when none does, librdkafka says so, and these say why."""
_LASTING: Final = frozenset(
    {KafkaError.TOPIC_AUTHORIZATION_FAILED, KafkaError.GROUP_AUTHORIZATION_FAILED, KafkaError._BAD_MSG}
)
"""Said once, and over when something is received."""


class Condition:
    """Tells the listener, and the log when it begins and when it ends."""

    def __init__(self, name: str, topics: Sequence[str], listener: Listener, loop: asyncio.AbstractEventLoop) -> None:
        self._name = name
        self._topics = [topic for topic in topics if not topic.startswith("^")]
        self._listener = listener
        self._loop = loop
        self._error: str | None = None
        """What librdkafka complained of."""
        self._missing: str | None = None
        """The topic that there is not."""
        self._told: str | None = None
        self._of_one_broker = ""
        self._lasting = False
        self._complained_at = -CALM_SECONDS
        self._asked = False
        """Whether the brokers were ever asked for the topics."""
        self._looks = 0

    def look(self, consumer: Consumer, paused: Collection[Key]) -> None:
        """Find out where the partitions end, and whether trouble is over. Raises KafkaException if it never will."""
        assignment = consumer.assignment()
        ends: dict[Key, int] = {}
        starts: dict[Key, int] = {}
        try:
            for each in _in_turn(assignment, paused, self._looks):
                key = (each.topic, each.partition)
                # what is paused is not fetched, so that librdkafka learns nothing of it
                low, high = consumer.get_watermark_offsets(each, timeout=ASK_SECONDS, cached=key not in paused)
                if high >= 0:
                    ends[key], starts[key] = high, max(low, 0)
            if self._told is not None or not self._asked:
                self._recover(consumer)
        except KafkaException as error:
            self.complain(error.args[0])
            if self._error is None:
                self.say(f"{NOBODY}: {error.args[0].str()}")
        self._looks += 1
        if ends:
            tell(self._loop, self._listener.seen, ends, starts)

    def _recover(self, consumer: Consumer) -> None:
        """The brokers answer: that all is well, or what is missing. Raises KafkaException if they do not."""
        missing = None
        if not self._topics:
            consumer.list_topics(timeout=ASK_SECONDS)
        for topic in self._topics:
            found = consumer.list_topics(topic, timeout=ASK_SECONDS).topics.get(topic)
            if found is None or found.error is not None:
                missing = no_topic(topic)
                break
        self._missing, self._asked = missing, True
        calm = monotonic() >= self._complained_at + CALM_SECONDS or (self._error or "").startswith(NOBODY)
        if calm and not self._lasting:
            self._error = None
        self._tell()

    def complain(self, error: KafkaError) -> None:
        """Something is wrong, and librdkafka goes on trying. Raises KafkaException if it says that it cannot."""
        if error.fatal():
            raise KafkaException(error)
        code = error.code()
        if code == KafkaError._MAX_POLL_EXCEEDED:
            log.error("the poll stood still for too long", extra={"source": self._name, "detail": error.str()})
        elif code in _OF_ONE_BROKER:
            self._of_one_broker = error.str()
            if self._error is not None and self._error.startswith(NOBODY):
                self.say(f"{NOBODY}: {self._of_one_broker}")
        elif code == KafkaError._ALL_BROKERS_DOWN:
            self.say(f"{NOBODY}: {self._of_one_broker}" if self._of_one_broker else NOBODY)
        elif code == KafkaError.UNKNOWN_TOPIC_OR_PART:
            self._asked = False
        else:
            self._lasting = self._lasting or code in _LASTING
            hint = "; raise `memory` of the source" if "receive.message.max.bytes" in error.str() else ""
            self.say(error.str() + hint)

    def say(self, trouble: str) -> None:
        """This is wrong now."""
        self._error, self._complained_at = trouble, monotonic()
        self._tell()

    def receives(self) -> None:
        """Nothing is wrong: something came."""
        if self._error is not None:
            self._error, self._lasting = None, False
            self._tell()

    def _tell(self) -> None:
        trouble = self._error or self._missing
        if trouble == self._told:
            return
        if self._told is None:
            log.warning("a source cannot receive", extra={"source": self._name, "detail": trouble})
        elif trouble is None:
            log.info("a source receives again", extra={"source": self._name})
        self._told = trouble
        tell(self._loop, self._listener.troubled, trouble)


def no_topic(topic: str) -> str:
    """What is wrong where there is no such topic, and what to do."""
    return f"there is no topic {topic!r} for this client; create it, or allow Describe and Read"


def _in_turn(assignment: Sequence[TopicPartition], paused: Collection[Key], looks: int) -> list[TopicPartition]:
    """What costs nothing to ask for, and the next of those that are asked for over the network."""
    asked = [each for each in assignment if (each.topic, each.partition) in paused]
    known = [each for each in assignment if (each.topic, each.partition) not in paused]
    return known + ([asked[looks % len(asked)]] if asked else [])
