"""The sqs source: messages of a queue. A message is deleted once all its events are safe, and kept from others until
then: at least once, in a FIFO queue in the order of each message group.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack
from typing import Any, Final, Self

from pydantic import Field, field_validator, model_validator

from service.aws.failures import AWS_ERRORS, retry_for
from service.aws.permission import Key, Permission
from service.aws.queue import Queue
from service.aws.session import client
from service.aws.settings import AwsConfig
from service.finding import Finding
from service.receiving.contract import SourceConfig
from service.receiving.handover import Handover
from service.sinks.contract import ProbeError, SinkConfig
from service.sources.sqs.calls import CALL_SECONDS, Calls
from service.sources.sqs.condition import Condition
from service.sources.sqs.deletion import Deletion
from service.sources.sqs.examination import examined
from service.sources.sqs.flight import Flight
from service.sources.sqs.groups import Groups
from service.sources.sqs.message import PER_MESSAGE_BYTES, SqsMessage
from service.sources.sqs.receivers import Receivers, Room
from service.telemetry.source import SourceGauges
from service.units import ByteSize, Duration

log = logging.getLogger(__name__)

LAST_SECONDS: Final = 2.0
"""At the end, for what is left to delete and to give back. What is not comes again once its time is over."""
QUIET_SECONDS: Final = 0.5
"""After which a poll that waits will bring nothing of what was given back."""


class Sqs:
    """Receives with several receivers at once, holds what its lanes have not settled, and deletes the rest.

    A message that is held is kept invisible, for as long as it takes (SQS allows 12 hours), and is visible to others at
    once when the service stops. One that comes again while it is held is not handed over again.

    FIFO: SQS hands out messages of a group in order, at most ten in one answer, and no more of it while any of them is
    invisible; so several receivers never have the same group at the same time, and more of them help only where there
    are more groups. Here a group's messages are handed over in order; its settled prefix is deleted; a message that
    fails is given back together with everything after it.
    Standard queues have no order.
    """

    class Config(SourceConfig, AwsConfig):
        """Settings of an sqs source."""

        queue: str = Field(description="Name, URL or ARN of the queue; `.fifo` at its end means a FIFO queue.")
        route: str = Field(description="Where its messages go; `events` routes by type.")
        receivers: int = Field(default=4, ge=1, le=64, description="Calls that wait for messages at the same time.")
        wait: Duration = Field(
            default=20.0, ge=1, le=20, description="How long a call waits for messages (long polling); whole seconds."
        )
        visibility: Duration = Field(
            default=60.0,
            ge=2,
            le=12 * 3600,
            description="How long a message stays invisible if the service dies; while it is held, it is extended at "
            "half of that. Whole seconds.",
        )
        window: int = Field(default=2000, ge=1, le=100_000, description="Most messages that are held and not deleted.")
        max_receives: int = Field(
            default=0,
            ge=0,
            le=1000,
            description="A message that was handed out more often goes to the dead letters; 0: never. Each restart "
            "that gives a message back counts.",
        )
        max_message: ByteSize = Field(
            default=2**20, ge=1024, le=2**20, description="As for every source; SQS holds no larger ones than 1MiB."
        )
        memory: ByteSize = Field(default=64 * 2**20, ge=2**20, description="As for every source.")
        lag_interval: Duration = Field(
            default=30.0, ge=0, le=3600, description="How often the queue's length is asked for; 0: never."
        )

        @field_validator("queue")
        @classmethod
        def _check_queue(cls, value: str) -> str:
            Queue.parse(value)
            return value

        @field_validator("wait", "visibility")
        @classmethod
        def _check_whole(cls, value: float) -> float:
            if value != int(value):
                raise ValueError("must be whole seconds")
            return value

        @model_validator(mode="after")
        def _a_message_has_room(self) -> Self:
            if self.memory < self.max_message:
                raise ValueError("`memory` must hold a message of `max_message`")
            return self

        def named_region(self) -> str | None:
            """As for every sink of AWS; that of an ARN or of an URL wins."""
            return Queue.parse(self.queue).region or self.region

        def permissions(self) -> Sequence[Permission]:
            """See `SourceConfig`."""
            queue = Queue.parse(self.queue)
            actions = ("sqs:ChangeMessageVisibility", "sqs:DeleteMessage", "sqs:ReceiveMessage")
            return (
                self.permission(queue.resource, *queue.finding, *actions),
                self.permission(queue.resource, "sqs:GetQueueAttributes", doctor=not self.lag_interval),
                self.permission(Key("sqs"), "kms:Decrypt"),
            )

        @property
        def keyed(self) -> bool:
            """See `SourceConfig`: the message group."""
            return Queue.parse(self.queue).fifo

        def targets(self) -> Mapping[tuple[str | int, ...], str]:
            """See `SourceConfig`."""
            return {("route",): self.route}

        def reads(self, sink: SinkConfig) -> bool:
            """See `SourceConfig`: this queue, as far as the settings tell."""
            named = getattr(sink, "queue", None)
            if not isinstance(sink, AwsConfig) or not isinstance(named, str):
                return False
            ours, theirs = Queue.parse(self.queue), Queue.parse(named)
            return (
                ours.name == theirs.name
                and self.endpoint_url == sink.endpoint_url
                and self.named_region() == sink.named_region()
                and (None in (ours.url, theirs.url) or ours.url == theirs.url)
                and (None in (ours.account, theirs.account) or ours.account == theirs.account)
                and self.role_arn == sink.role_arn
            )

        def share(self, workers: int, worker: int) -> Self:
            """See `SourceConfig`: the first worker asks for the length of the queue, which they have in common."""
            shared = super().share(workers, worker)
            own: dict[str, Any] = {"window": max(1, self.window // workers)}
            if worker:
                own["lag_interval"] = 0.0
            return shared.model_copy(update=own)

    def __init__(self, name: str, config: Config, handover: Handover) -> None:
        self.name = name
        self._config = config
        self._handover = handover
        self._queue = Queue.parse(config.queue)
        handover.address = config.queue[-128:]
        self._condition = Condition(name)
        self._exit = AsyncExitStack()
        self._lag: int | None = None
        self._running: _Running | None = None
        self._stopped = False

    async def __aenter__(self) -> Self:
        """Begin to receive; the queue may be away. Raises ConfigError if there is no region."""
        config, handover = self._config, self._handover
        calls = await self._exit.enter_async_context(self._calls())
        running = self._running = _Running(calls, config, self._queue, handover)
        running.receivers.begin(config.receivers, int(config.visibility), int(config.wait))
        running.tasks.append(asyncio.create_task(running.flight.keep(), name=f"keep {self.name}"))
        if config.lag_interval:
            running.tasks.append(asyncio.create_task(self._measure(calls), name=f"lag {self.name}"))
        return self

    async def __aexit__(self, *_: object) -> None:
        self.stop()
        running, self._running = self._running, None
        if running is not None:
            for task in running.tasks:
                task.cancel()
            await asyncio.gather(*running.tasks, return_exceptions=True)
            running.groups.end()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LAST_SECONDS):
                    await running.last()
            await running.receivers.end()
            await running.deletion.end()
            await running.flight.end()
        await self._exit.aclose()

    def stop(self) -> None:
        """Receive nothing more, and give back what no lane has. What is under way is deleted when it is settled."""
        if not self._stopped:
            self._stopped = True
            self._handover.stop()
            if self._running is not None:
                self._running.receivers.stop()
                self._running.groups.stop()

    @contextlib.asynccontextmanager
    async def _calls(self) -> AsyncIterator[Calls]:
        """The queue's calls, for as long as their client is open. Raises ConfigError."""
        config = self._config
        seconds = config.wait + CALL_SECONDS
        async with client("sqs", config, concurrency=3 * config.receivers, call_timeout=seconds) as made:
            yield Calls(made, self._queue, config.queue, self._condition)

    async def _measure(self, calls: Calls) -> None:
        """Ask for the queue's length, again and again. Without the permission there is none."""
        told = False
        while True:
            try:
                self._lag, told = await calls.length(), False
            except AWS_ERRORS as error:
                self._lag = None
                if not told:
                    detail = calls.advice(retry_for(error), "sqs:GetQueueAttributes")
                    log.warning("the lag of a source is not known", extra={"source": self.name, "detail": detail})
                told = True
            await asyncio.sleep(self._config.lag_interval)

    @property
    def gauges(self) -> SourceGauges:
        """See `Source`."""
        found = SourceGauges(self.name, trouble=self._condition.trouble, lag=self._lag)
        if (running := self._running) is not None:
            found.trouble = found.trouble or running.groups.trouble
            found.waiting_messages = running.groups.waiting_messages
            found.waiting_bytes = running.groups.waiting_bytes
            found.unsettled_messages = len(running.flight)
        return found

    async def probe(self) -> None:
        """Find the queue and ask for its length; entered or not. Raises ProbeError or ConfigError."""
        async with self._calls() as calls:
            action = "sqs:GetQueueUrl"
            try:
                await calls.url()
                action = "sqs:GetQueueAttributes"
                await calls.length()
            except AWS_ERRORS as error:
                raise ProbeError(calls.advice(retry_for(error), action)) from error

    async def examine(self) -> AsyncIterator[Finding]:
        """See `Examined`."""
        config = self._config
        async with client("sqs", config, concurrency=1, call_timeout=CALL_SECONDS) as made:
            found = examined(
                made,
                self._queue.find(made),
                config.queue,
                visibility=config.visibility,
                max_receives=config.max_receives,
            )
            async for finding in found:
                yield finding


class _Running:
    """What an entered source consists of."""

    def __init__(self, calls: Calls, config: Sqs.Config, queue: Queue, handover: Handover) -> None:
        self.tasks: list[asyncio.Task[None]] = []
        self.flight = Flight(calls, int(config.visibility), handover.lapsed)
        room = Room(config.window, config.memory, config.max_message + PER_MESSAGE_BYTES)
        self.receivers = Receivers(calls, room, self._held, self._take)
        self.deletion = Deletion(calls, self.flight, config.receivers, self.receivers.changed, fifo=queue.fifo)
        self.groups = Groups(
            handover,
            self.flight,
            self.deletion,
            fifo=queue.fifo,
            max_receives=config.max_receives,
            route=handover.route(config.route),
            changed=self.receivers.changed,
        )

    async def last(self) -> None:
        """Delete and give back what is left. What our own polls, those that still wait, receive of that, too: SQS would
        hand it to a connection that is gone, and keep it hidden.
        """
        while True:
            await asyncio.gather(self.deletion.emptied(), self.flight.returned())
            if not self.flight.gave_back or not await self.receivers.bring(QUIET_SECONDS):
                return

    def _held(self) -> tuple[int, int]:
        return len(self.flight), self.groups.waiting_bytes

    def _take(self, messages: Sequence[SqsMessage]) -> None:
        self.groups.take(messages)
