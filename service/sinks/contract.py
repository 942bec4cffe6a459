"""The sink contract: what every destination promises to its lane, and what the lane promises to it."""

from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import ClassVar, Literal, Protocol, Self, runtime_checkable

from msgspec import Struct
from pydantic import BaseModel, ConfigDict, Field

from service.aws.permission import Permission
from service.codecs.tracecontext import trace_headers as trace_headers  # for sinks that are somebody else's
from service.event import Event
from service.outcome import Outcome
from service.units import ByteSize, Duration

Format = Literal["auto", "original", "cloudevents", "data"]
"""What of an event is delivered: `original` (the bytes as they came), `cloudevents` (one structured
CloudEvent in JSON), `data` (the CloudEvent's data alone). `auto`: `original` where the destination carries
attributes beside the body, or the event's id is in its body; else `cloudevents`."""

LEAST_LANE_MEMORY = 2**16
"""Bytes of events that a lane must be able to hold."""


class Limits(Struct, frozen=True):
    """What one write may hold, in user events. The lane composes batches within it.

    An event counts as len(body) + len(key in UTF-8) + `overhead_bytes`. A sink that holds what it made of a batch until
    its write ends (a request, a queue) says how much that is: the lane bounds what all its writes take.
    """

    batch_events: int
    batch_bytes: int
    event_bytes: int
    overhead_bytes: int = 0
    request_factor: float = 0.0
    """Bytes that a write takes of memory, beside its events, for each byte that they count; 0: next to nothing."""
    request_overhead_bytes: int = 0
    """What each event adds to that, whatever its size."""


class Batch(Struct, frozen=True, gc=False):
    """A non-empty group of events that fits one sink's limits, in the order in which they were accepted."""

    events: Sequence[Event]

    def __len__(self) -> int:
        return len(self.events)


class SinkConfig(BaseModel):
    """What every sink's `Config` has: the settings of the lane before it. A sink adds its own beside them."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    type: str = Field(description="The plugin: a name such as `kinesis`, or `package.module:Class`.")
    format: Format = Field(default="auto", description="What of an event is delivered.")
    memory: ByteSize = Field(
        default=64 * 2**20,
        ge=LEAST_LANE_MEMORY,
        description="Most bytes of events the lane holds. Its calls in flight take half as much at most. Divided among "
        "`server.workers`.",
    )
    linger: Duration = Field(
        default=0.0,
        ge=0,
        le=60,
        description="How long an event may wait for its batch to fill; 0 sends at once.",
    )
    patience: Duration = Field(
        default=20.0,
        gt=0,
        description="How long an event is tried before it is given back to the producer.",
    )
    call_timeout: Duration = Field(default=8.0, gt=0, description="Total time of one call to the destination.")
    concurrency: int = Field(
        default=64,
        ge=1,
        le=1024,
        description="Most calls in flight; how many there are follows what the sink can do. Divided among "
        "`server.workers`, of which each has one at least.",
    )
    concurrency_floor: int = Field(
        default=1, ge=1, le=1024, description="Least calls in flight allowed; equal to `concurrency` it never changes."
    )
    order: Literal["none", "key"] = Field(
        default="none", description="`key`: of each key one event at a time, in the order of arrival; each needs a key."
    )
    fallback: str | None = Field(
        default=None, description="Name of the sink that gets the events while this one is broken."
    )

    @property
    def slow_seconds(self) -> float:
        """Age of an event from which the sink is too slow: two thirds of the time after which what waits is given
        back."""
        return (self.patience - self.call_timeout) * 2 / 3

    def permissions(self) -> Sequence[Permission]:
        """What an IAM role must be allowed, so that the sink can start, write and be probed; see `aws.permission`."""
        return ()

    def exclusive(self) -> tuple[str, str] | None:
        """A setting's name and what it stands for, if no other sink may have the same; None if there is none."""
        return None

    def share(self, workers: int) -> Self:
        """The settings of one of `workers` processes that have this sink together.

        A sink with more that is meant for all of them together (rates) divides that too.
        """
        return self.model_copy(
            update={
                "memory": self.memory // workers,
                "concurrency": max(1, self.concurrency // workers),
                "concurrency_floor": max(1, self.concurrency_floor // workers),
            }
        )


@runtime_checkable
class Sink(Protocol):
    """One destination: puts a batch on the wire once and tells, for each event, what became of it.

    The constructor takes `(name: str, config: Config)` and does no I/O. `async with` enters (connects) and
    exits (releases everything: no task, thread or socket is left). Between the two `write` may run
    concurrently with itself. `service.plugins.load` finds the class: the one that a module of ours
    defines with a nested `Config`, or the one that is named.

    A sink decides nothing: it does not route, retry, buffer or dead-letter.
    """

    @property
    def Config(self) -> type[SinkConfig]:  # noqa: N802 - a nested class, which mypy matches only with a property
        """The settings model of the plugin: a nested class."""

    carries_attributes: ClassVar[bool]
    """True if the destination keeps an event's attributes beside its body (Kafka headers)."""

    @property
    def limits(self) -> Limits:
        """Limits of one write. Constant between enter and exit; the lane never exceeds them."""

    async def write(self, batch: Batch) -> Sequence[Outcome]:
        """Put the batch on the wire once. Returns one outcome per event, in the batch's order.

        - `Delivered` only after the destination itself acknowledged that event.
        - `Rejected` only about *this event* (too large, refused content). Access denied, a missing resource,
          key and credential trouble are the destination's: `Retry`.
        - A sink that packs makes one call and returns `Retry(NO_ROOM, after=0)` for what did not fit.
        - Raising says that nothing is known of any event: the lane counts it as a failed attempt that may
          have written, and tries again. Cancellation (the lane's call time-out, the end of a drain) must end
          the call promptly and may leave events written.
        """

    async def probe(self) -> None:
        """Raise `ProbeError` if unusable as configured, in words that say what to do. Sends no data."""

    async def __aenter__(self) -> Self: ...

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...


class Pace(Struct, frozen=True):
    """What one partition of a destination takes per second; 0 for no bound of its own."""

    events: float
    bytes: float


@runtime_checkable
class Partitioned(Protocol):
    """What a sink offers beside `Sink` if its destination has partitions with rates of their own (Kinesis: shards).

    The lane then keeps a queue, a rate and a back-off per partition, so that a hot one slows only its own events.
    A `Retry(THROTTLED)` of such a sink is about the event's partition, not about the destination.
    """

    pace: Pace
    generation: int
    """Another number whenever `partition` may answer otherwise than before: the lane sorts what waits anew."""

    def partition(self, event: Event) -> int:
        """The partition `event` would go to. Cheap, never blocks; 0 for all while the partitions are not known."""

    def cost(self, event: Event) -> int:
        """Bytes that `event` takes of its partition's pace: what it adds to the wire, not what `limits` reserves.

        Cheap, never blocks; may be an estimate that is right for many events together."""


@runtime_checkable
class Billed(Protocol):
    """What a sink offers beside `Sink` if its destination bills by something else than events."""

    def bill(self) -> Mapping[str, int]:
        """What was billed so far, by the name of its counter: `kinesis_put_payload_units` is exposed as
        `penstock_kinesis_put_payload_units_total{sink}`. Counts only ever grow."""


class ProbeError(Exception):
    """A destination cannot be used as configured. The message says what is wrong and what to try."""
