"""The source contract: what everything that brings events promises, and what it is given to do so."""

from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Annotated, Any, Protocol, Self, runtime_checkable

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from service.aws.permission import Permission
from service.receiving.dedupe import Dedupe
from service.receiving.handover import Handover
from service.sinks.contract import SinkConfig
from service.telemetry.source import SourceGauges
from service.units import ByteSize

if TYPE_CHECKING:
    from fastapi import FastAPI  # commands that do not serve need not load it


def codec_as_mapping(value: Any) -> Any:
    """A codec's name alone as the mapping it stands for."""
    return {"type": value} if isinstance(value, str) else value


class PublicPort(Protocol):
    """What a source that is called there asks of the public port's settings."""

    @property
    def host(self) -> str:
        """The address that it is bound to."""

    @property
    def workers(self) -> int:
        """Processes, which divide the memory."""

    @property
    def body_memory(self) -> int:
        """Bytes for the bodies of all requests."""


class SourceConfig(BaseModel):
    """What every source's `Config` has. A source adds its own beside it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    type: str = Field(description="The plugin: a name such as `kafka`, or `package.module:Class`.")
    codec: Annotated[dict[str, Any], BeforeValidator(codec_as_mapping)] = Field(
        default={"type": "cloudevents"}, description="What a message holds: a codec's name, or `{type: name, ...}`."
    )
    max_message: ByteSize = Field(
        default=2**20,
        ge=1024,
        description="Largest message that is expected. The dead letters of its routes must be able to take it whole.",
    )
    memory: ByteSize = Field(
        default=32 * 2**20,
        ge=2**20,
        description="Most bytes of messages that wait for room in the lanes, beside `server.memory`. Workers divide "
        "it.",
    )
    dedupe: Dedupe | None = Field(
        default=None, description="Pass over an event whose id was delivered lately: `{window: 10m}`."
    )
    dead_letter: str | None = Field(
        default=None, description="Sink of messages for which there is no route; needed where `events` routes by type."
    )

    @property
    def keyed(self) -> bool:
        """Whether its messages have keys of their own, so that a route to a sink with `order: key` needs no `key`."""
        return False

    def targets(self) -> Mapping[tuple[str | int, ...], str]:
        """The routes, or `events`, that it brings events to, by the path of the setting that names each."""
        raise NotImplementedError

    def reads(self, sink: SinkConfig) -> bool:
        """Whether what this sink is given would be received by this source again."""
        del sink
        return False

    def permissions(self) -> Sequence[Permission]:
        """What an IAM role must be allowed, so that the source can receive and acknowledge; see `aws.permission`."""
        return ()

    def mistakes(self, port: PublicPort) -> Mapping[tuple[str | int, ...], str]:
        """What of it cannot be at this public port, in words, by the path of the setting. Most are not called there."""
        del port
        return {}

    def share(self, workers: int, worker: int) -> Self:
        """The settings of one of `workers` processes, the one of number `worker`."""
        del worker
        own: dict[str, object] = {"memory": max(2**20, self.memory // workers)}
        if self.dedupe is not None:
            own["dedupe"] = self.dedupe.model_copy(update={"most": max(1, self.dedupe.most // workers)})
        return self.model_copy(update=own)


class Source(Protocol):
    """Where events come from. It acknowledges a message (commits, deletes) once all its events are safe, never before.

    The constructor takes `(name: str, config: Config, handover: Handover)` and does no I/O. `async with` enters (begins
    to receive; whoever it asks may be away: that is trouble, and no error) and exits (acknowledges what is settled by
    then and releases everything: no task, thread or socket is left). `service.plugins.load` finds the class.
    """

    @property
    def Config(self) -> type[SourceConfig]:  # noqa: N802 - a nested class, which mypy matches only with a property
        """The settings model of the plugin: a nested class."""

    def __init__(self, name: str, config: Any, handover: Handover) -> None: ...

    def stop(self) -> None:
        """Receive nothing more, hand nothing over. What is under way is still acknowledged when it is settled."""

    @property
    def gauges(self) -> SourceGauges:
        """What it is like now."""

    async def probe(self) -> None:
        """Raise `sinks.contract.ProbeError` if unusable as configured, in words that say what to do."""

    async def __aenter__(self) -> Self: ...

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...


@runtime_checkable
class Mounted(Protocol):
    """What a source offers beside `Source` if it is called at the public port."""

    def mount(self, app: "FastAPI") -> None:
        """Add what is called, before the port opens. `app.state.admission` is what every request has to pass
        (`sources.admission`). Raises ConfigError if it cannot be called as configured.

        It is called on after readiness is off, until load balancers have noticed; only then it is told to `stop`.
        """
