"""One librdkafka producer and the thread that serves its callbacks, with the event loop kept out of both.

Promises: one wake-up of the loop for all that was reported since the last one; a write that was given up
costs nothing and harms nothing when its reports come late; after `close` no thread and no socket is left.
"""

import asyncio
import logging
import threading
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, Final

from confluent_kafka import KafkaError, KafkaException, Producer

from service.kafka.connection import built
from service.kafka.errors import reason_of
from service.outcome import Reason
from service.threads import off_loop

log = logging.getLogger(__name__)

_POLL_SECONDS: Final = 0.1
"""How long the thread may take to notice that it should end."""
_FLUSH_SECONDS: Final = 1.0
_JOIN_SECONDS: Final = 5.0


class Write:
    """The messages of one write that are with librdkafka: a counter and one future, none per message."""

    __slots__ = ("_client", "_expected", "_reported", "failed", "future")

    def __init__(self, client: "Client", future: "asyncio.Future[None]") -> None:
        self.failed: list[tuple[int, KafkaError]] = []
        """Positions that were not delivered. Complete once `future` is done."""
        self.future = future
        self._client = client
        self._reported = 0
        self._expected = -1

    def report(self, position: int, error: KafkaError | None, message: object) -> None:
        """The delivery callback. Runs in the poll thread."""
        del message
        if error is not None:
            self.failed.append((position, error))
        self._reported += 1
        if self._reported == self._expected:
            self._client.finished(self)

    async def settled(self, expected: int) -> None:
        """Return once `expected` messages were reported. Cancelling it gives the write up."""
        # The last report may come while we get here: then the thread saw no expectation, and we see the count.
        self._expected = expected
        if self._reported != expected:
            await self.future


class Client:
    """A producer that lives until `close`, or until librdkafka declares it failed for good.

    The constructor blocks, for up to seconds where credentials are fetched: call it off the event loop.
    Raises KafkaException if librdkafka refuses the settings.
    """

    def __init__(
        self,
        name: str,
        settings: Mapping[str, Any],
        loop: asyncio.AbstractEventLoop,
        failed: Callable[["Client", KafkaError], None],
    ) -> None:
        """`failed(client, error)` is called once, in the loop, when the producer has failed for good."""
        self.trouble: KafkaError | None = None
        """What librdkafka last complained of beside messages, since something was delivered."""
        self.broken = False
        self._proven = False
        self._loop = loop
        self._failed = failed
        self._finished: deque[Write] = deque()
        self._woken = False
        self._ending = False
        self._log = _OncePerState(name)
        self.producer = built(Producer, {**settings, "error_cb": self._complain, "logger": self._log})
        self._thread = threading.Thread(target=self._serve, name=f"kafka {name}", daemon=True)
        self._thread.start()

    def begin(self) -> Write:
        """A new write: give its `report`, bound to a position, as callback of each message, then await `settled`."""
        return Write(self, self._loop.create_future())

    @property
    def locked_out(self) -> bool:
        """Whether brokers refuse the client itself, and have taken nothing since; or have never taken anything, of
        which the cause is then what they say next. What is written meanwhile does not get to them."""
        return not self._proven or (self.trouble is not None and reason_of(self.trouble) is Reason.CREDENTIALS)

    def delivered(self) -> None:
        """Something was delivered: trouble that comes now is new, and worth a line in the log."""
        self._proven = True
        self.trouble = None
        self._log.seen.clear()

    def finished(self, write: Write) -> None:
        """Hand over a write whose messages are all reported. Runs in the poll thread."""
        self._finished.append(write)
        if not self._woken:
            self._woken = True
            self._loop.call_soon_threadsafe(self._wake)

    def _wake(self) -> None:
        self._woken = False
        while self._finished:
            future = self._finished.popleft().future
            if not future.done():
                future.set_result(None)

    async def close(self) -> None:
        """Give up what is still outstanding (no write waits for it) and end, in bounded time."""
        self._ending = True
        await off_loop(self._thread.join, _JOIN_SECONDS)
        if self._thread.is_alive():
            log.warning("the Kafka client did not end in time", extra={"sink": self._log.name})

    def _serve(self) -> None:
        while not self._ending:
            try:
                self.producer.poll(_POLL_SECONDS)
            except KafkaException as error:
                # confluent-kafka raises a fatal error out of `poll`, not through `error_cb`
                self._complain(error.args[0])
        producer = self.producer
        del self.producer
        producer.purge()
        try:
            producer.flush(_FLUSH_SECONDS)
        except KafkaException as error:
            log.debug("the Kafka client failed while it ended", extra={"detail": error.args[0].str()})
        # the last reference goes here: librdkafka's threads end and its sockets close off the event loop

    def _complain(self, error: KafkaError) -> None:
        if error.fatal():
            if not self.broken:
                self.broken = True
                self._loop.call_soon_threadsafe(self._failed, self, error)
        elif self.trouble is None or error.code() != KafkaError._ALL_BROKERS_DOWN:
            self.trouble = error


class _OncePerState:
    """Takes librdkafka's log lines: the first of each facility since the last delivery, the rest only as debug."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.seen: set[str] = set()

    def log(self, level: int, form: str, facility: str, client: str, line: str) -> None:
        """Called by confluent-kafka in the poll thread."""
        del form, client
        first = facility not in self.seen
        self.seen.add(facility)
        extra = {"sink": self.name, "facility": facility, "detail": line}
        log.log(min(level, logging.WARNING) if first else logging.DEBUG, "librdkafka says", extra=extra)
