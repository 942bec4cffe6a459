"""One consumer of a Kafka group and the thread that polls it: the event loop never waits for librdkafka.

Promises: the poll never stands still while a sink is away (a partition that is too far ahead is paused); what is told
the loop comes in the order in which it happened; a partition that is taken away is let go once what is under way is
settled and committed, or a bound is over; nothing is committed but what the listener says.
"""

import asyncio
import logging
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from time import monotonic
from typing import Any, Final

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition
from confluent_kafka import Message as KafkaMessage

from service.kafka.connection import built
from service.sources.kafka.condition import Condition
from service.sources.kafka.listener import Listener, tell
from service.sources.kafka.membership import Membership, at
from service.sources.kafka.partition import Key

log = logging.getLogger(__name__)

POLL_SECONDS: Final = 0.05
"""How long a command of the loop may wait while nothing comes."""
MOST_MESSAGES: Final = 1000
"""Handed over at once."""
MOST_BATCHES: Final = 2
"""Handed over and not taken note of by the loop."""
LOOK_SECONDS: Final = 1.0
"""Between looks at how much there is to come."""
END_SECONDS: Final = 2.5
"""How long the end may take: what is left of the grace period once the lanes have drained."""
REBUILD_SECONDS: Final = 5.0
"""After which a consumer that failed for good is built anew."""
_GONE: Final = frozenset({KafkaError._ASSIGNMENT_LOST, KafkaError._STATE, KafkaError._UNKNOWN_PARTITION})

_Command = tuple[int, Sequence[Key], Callable[[Consumer, Sequence[Key]], None]]
"""How many assignments the loop had heard of, for which partitions, and what is done."""


class Polling:
    """A consumer and its thread. `begin` it once; after `end` no thread and no socket is left."""

    def __init__(
        self,
        name: str,
        settings: Callable[[], Mapping[str, Any]],
        topics: Sequence[str],
        listener: Listener,
        *,
        most_messages: int,
        revoke_seconds: float,
        start_ms: int | None,
    ) -> None:
        """`settings`: librdkafka's, asked for in the thread. `most_messages`: handed over at once. `start_ms`: where
        partitions begin of which the group has committed nothing, in Unix milliseconds; None: as `auto.offset.reset`
        says."""
        self._name = name
        self._settings = settings
        self._topics = list(topics)
        self._listener = listener
        self._most = most_messages
        self._loop = asyncio.get_running_loop()
        self._commands: deque[_Command] = deque()
        self._slots = threading.Semaphore(MOST_BATCHES)
        self._ending = threading.Event()
        self._condition = Condition(name, topics, listener, self._loop)
        self._membership = Membership(
            name, listener, self._loop, self._condition, revoke_seconds=revoke_seconds, start_ms=start_ms
        )
        self._looked_at = 0.0
        self._thread = threading.Thread(target=self._run, name=f"kafka source {name}", daemon=True)

    def begin(self) -> None:
        """Begin to poll."""
        self._thread.start()

    def end(self) -> None:
        """Leave the group, having committed what is settled, and end. Blocks, for END_SECONDS at most: call it off the
        loop. Beyond, what the brokers were not told comes again, and the thread ends when librdkafka lets it, or with
        the process."""
        self._ending.set()
        self._thread.join(END_SECONDS)
        if self._thread.is_alive():
            log.warning("a Kafka consumer did not leave its group in time", extra={"source": self._name})

    # --- what the loop asks

    def taken(self) -> None:
        """The loop has taken note of a batch."""
        self._slots.release()

    def pause(self, keys: Sequence[Key]) -> None:
        """Receive nothing of these partitions for now."""
        self._ask(keys, self._pause)

    def resume(self, keys: Sequence[Key]) -> None:
        """Go on with them."""
        self._ask(keys, self._resume)

    def commit(self, positions: Mapping[Key, int]) -> None:
        """Tell the brokers to go on at these offsets."""
        self._ask(list(positions), lambda consumer, keys: self._commit(consumer, {key: positions[key] for key in keys}))

    def rewind(self, key: Key, offset: int) -> None:
        """Read a partition again from `offset`; the listener hears `restarted` before what comes then."""
        self._ask([key], lambda consumer, keys: self._rewind(consumer, key, offset))

    def _ask(self, keys: Sequence[Key], act: Callable[[Consumer, Sequence[Key]], None]) -> None:
        self._commands.append((self._membership.heard, keys, act))

    # --- the thread

    def _tell(self, hears: Callable[..., object], *arguments: object) -> None:
        tell(self._loop, hears, *arguments)

    def _run(self) -> None:
        while not self._ending.is_set():
            try:
                consumer = built(
                    Consumer,
                    {
                        **self._settings(),
                        "error_cb": self._condition.complain,
                        "on_commit": self._committed,
                        "logger": _Log(self._name),
                    },
                )
            except Exception as error:  # noqa: BLE001 - credentials, files, librdkafka: whatever it is, it may come right
                self._condition.say(f"no consumer can be made: {error}")
                self._ending.wait(REBUILD_SECONDS)
                continue
            try:
                self._consume(consumer)
            except Exception as error:  # what a call-back raises comes through here too; the thread must not end by it
                log.exception("a Kafka consumer failed, and is built anew", extra={"source": self._name})
                why = error.args[0].str() if isinstance(error, KafkaException) else repr(error)
                self._condition.say(f"the consumer failed, and is built anew: {why}")
            finally:
                self._leave(consumer)
            if not self._ending.is_set():
                self._ending.wait(REBUILD_SECONDS)

    def _leave(self, consumer: Consumer) -> None:
        try:
            consumer.close()  # takes the partitions away, by the call-back
        except Exception as error:  # noqa: BLE001 - as above
            log.warning("a Kafka consumer did not leave its group", extra={"source": self._name, "detail": str(error)})
        self._membership.end()
        self._commands.clear()

    def _consume(self, consumer: Consumer) -> None:
        ours = self._membership
        consumer.subscribe(self._topics, on_assign=ours.assigned, on_revoke=ours.revoked, on_lost=ours.lost)
        while not self._ending.is_set():
            may_poll = self._slots.acquire(timeout=POLL_SECONDS)
            messages: Sequence[KafkaMessage] = ()
            try:
                # after the slot, which is given back after what else the loop asked for
                while self._commands:
                    self._perform(consumer, *self._commands.popleft())
                if monotonic() >= self._looked_at + LOOK_SECONDS:
                    self._looked_at = monotonic()
                    self._condition.look(consumer, ours.paused)
                if may_poll:
                    messages = self._polled(consumer)
            finally:
                if may_poll and not any(message.error() is None for message in messages):
                    self._slots.release()
            self._sort_out(messages)

    def _polled(self, consumer: Consumer) -> list[KafkaMessage]:
        """What is there: as soon as there is something, and not more than is handed over at once."""
        first = consumer.poll(POLL_SECONDS)
        if first is None:
            return []
        before = self._membership.assignments
        others = consumer.consume(self._most - 1, 0)
        if self._membership.assignments != before:
            # its partition may have gone and come again meanwhile: then it is read again, maybe after what is before it
            key: Key = (first.topic(), first.partition())  # type: ignore[assignment]
            if not self._membership.still([key], before):
                return others
        return [first, *others]

    def _sort_out(self, messages: Sequence[KafkaMessage]) -> None:
        """Tell what came; the slot that was taken for messages goes on to the loop."""
        found = [message for message in messages if message.error() is None]
        if found:
            self._condition.receives()
            self._tell(self._listener.received, found)
        if len(found) == len(messages):
            return
        ends = []
        for message in messages:
            error = message.error()
            if error is None:
                continue
            if error.code() == KafkaError._PARTITION_EOF:
                ends.append(((message.topic(), message.partition()), message.offset()))
            else:
                self._condition.complain(error)
        if ends:
            self._condition.receives()
            self._tell(self._listener.ended, ends)

    def _perform(
        self, consumer: Consumer, heard: int, keys: Sequence[Key], act: Callable[[Consumer, Sequence[Key]], None]
    ) -> None:
        """Do what the loop asked for with those partitions that are still in the assignment of which it knew."""
        still = self._membership.still(keys, heard)
        if not still:
            return
        try:
            act(consumer, still)
        except KafkaException as error:
            # a partition that went meanwhile; anything else is about to show as trouble of its own
            quiet = error.args[0].code() in _GONE
            level = logging.DEBUG if quiet else logging.WARNING
            log.log(level, "a Kafka command failed", extra={"source": self._name, "detail": error.args[0].str()})

    def _pause(self, consumer: Consumer, keys: Sequence[Key]) -> None:
        consumer.pause([TopicPartition(*key) for key in keys])
        self._membership.paused.update(keys)

    def _resume(self, consumer: Consumer, keys: Sequence[Key]) -> None:
        consumer.resume([TopicPartition(*key) for key in keys])
        self._membership.paused.difference_update(keys)

    def _rewind(self, consumer: Consumer, key: Key, offset: int) -> None:
        consumer.seek(TopicPartition(*key, offset))
        self._tell(self._listener.restarted, key)

    def _commit(self, consumer: Consumer, positions: Mapping[Key, int]) -> None:
        try:
            consumer.commit(offsets=at(positions), asynchronous=True)
        except KafkaException:
            self._tell(self._listener.uncommitted, list(positions))
            raise

    def _committed(self, error: KafkaError | None, partitions: Sequence[TopicPartition]) -> None:
        failed = [(each.topic, each.partition) for each in partitions if error is not None or each.error is not None]
        if failed:
            why = error or next(each.error for each in partitions if each.error is not None)
            log.warning("offsets were not committed", extra={"source": self._name, "detail": why.str()})
            self._tell(self._listener.uncommitted, failed)


def batch_messages(window_messages: int) -> int:
    """How many are handed over at once: a small part of what a partition may be ahead."""
    return max(1, min(MOST_MESSAGES, window_messages // 8))


class _Log:
    """Takes librdkafka's log lines: what matters is told by errors, so these are for whoever looks closer."""

    def __init__(self, name: str) -> None:
        self._name = name

    def log(self, level: int, form: str, facility: str, client: str, line: str) -> None:
        """Called by confluent-kafka in the thread that polls."""
        del level, form, client
        log.debug("librdkafka says", extra={"source": self._name, "facility": facility, "detail": line})
