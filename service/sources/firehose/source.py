"""The firehose source: Amazon Data Firehose calls us, as an HTTP endpoint destination of its streams.

Documented: Amazon Data Firehose, "Understand HTTP endpoint delivery request and response specifications".
"""

from collections.abc import AsyncIterator, Mapping
from typing import Self

from fastapi import FastAPI
from pydantic import Field, SecretStr, model_validator

from service.errors import ConfigError
from service.finding import Finding, note, ok, warning
from service.receiving.contract import PublicPort, SourceConfig
from service.receiving.handover import Handover
from service.sources.firehose.description import describe
from service.sources.firehose.endpoint import Endpoint
from service.sources.firehose.keys import LEAST_KEY, MOST_KEY, AccessKeys
from service.sources.firehose.records import MESSAGE_BYTES
from service.telemetry.source import SourceGauges
from service.units import ByteSize, ConfigPath, format_size, is_loopback

MOST_BODY_BYTES = 64 * 2**20
"""Of a request, not compressed. More Firehose does not send."""
MOST_RECORDS = 10_000
"""Of a request, the same."""


class Firehose:
    """Takes the requests of Firehose streams at `POST /firehose/NAME` of the public port."""

    class Config(SourceConfig):
        """Settings of a firehose source."""

        route: str = Field(description="Where its records go: a route, or `events` to route by type.")
        access_keys: tuple[SecretStr, ...] = Field(
            default=(), description="Access keys that streams may send; several while one is replaced by another."
        )
        access_keys_file: ConfigPath | None = Field(default=None, description="File of access keys, one a line.")
        access_keys_variable: str | None = Field(
            default=None, description="Name of the environment variable that holds the same text."
        )
        max_body: ByteSize = Field(
            default=MOST_BODY_BYTES,
            ge=64 * 1024,
            le=MOST_BODY_BYTES,
            description="Most bytes of a request, as sent and when inflated. Firehose sends 64MiB at most.",
        )
        max_records: int = Field(
            default=MOST_RECORDS,
            ge=1,
            le=MOST_RECORDS,
            description="Most records of a request. Firehose sends 10,000 at most.",
        )
        memory: ByteSize = Field(
            default=64 * 2**20,
            ge=2**20,
            description="Most bytes of records that wait for room in the lanes, beside `server.memory`; beyond, 503. "
            "Workers divide it.",
        )

        @model_validator(mode="after")
        def _check_keys(self) -> Self:
            if sum(map(bool, (self.access_keys, self.access_keys_file, self.access_keys_variable))) > 1:
                raise ValueError("give one of access_keys, access_keys_file and access_keys_variable")
            if not all(LEAST_KEY <= len(key.get_secret_value()) <= MOST_KEY for key in self.access_keys):
                raise ValueError(f"an access key has {LEAST_KEY} to {MOST_KEY} characters: shorter ones can be guessed")
            return self

        @property
        def anonymous(self) -> bool:
            """Whether anybody may send who reaches the port."""
            return not (self.access_keys or self.access_keys_file or self.access_keys_variable)

        def targets(self) -> Mapping[tuple[str | int, ...], str]:
            """See `SourceConfig`."""
            return {("route",): self.route}

        def mistakes(self, port: PublicPort) -> Mapping[tuple[str | int, ...], str]:
            """See `SourceConfig`."""
            found: dict[tuple[str | int, ...], str] = {}
            if self.anonymous and not is_loopback(port.host):
                found["access_keys",] = (
                    f"{port.host} is reached from elsewhere: give the access key that the stream is configured with"
                )
            try:
                AccessKeys.of(self.access_keys, self.access_keys_file, self.access_keys_variable)
            except ConfigError as error:
                found["access_keys",] = error.mistakes[0]
            if (room := port.body_memory // port.workers) < self.max_body:
                found["max_body",] = (
                    f"{format_size(self.max_body)} is more than server.memory has for request bodies of a worker, "
                    f"{format_size(room)}: lower it (and the buffer size of the stream), or raise server.memory"
                )
            needed = self.max_body // 4 * 3 + MESSAGE_BYTES * self.max_records
            if (memory := self.memory // port.workers) < needed:
                found["memory",] = (
                    f"{format_size(memory)} for each worker do not hold the records of one request: at least "
                    f"{format_size(needed * port.workers)}, or lower max_body or max_records"
                )
            return found

    def __init__(self, name: str, config: Config, handover: Handover) -> None:
        self.name = name
        self._config = config
        self._handover = handover
        self._route = handover.route(config.route)
        self._endpoint: Endpoint | None = None

    def mount(self, app: FastAPI) -> None:
        """See `Mounted`."""
        config = self._config
        self._endpoint = Endpoint(
            self._handover,
            self._route,
            AccessKeys.of(config.access_keys, config.access_keys_file, config.access_keys_variable),
            app.state.admission,
            max_body=config.max_body,
            max_records=config.max_records,
            memory=config.memory,
        )
        describe(app, f"/firehose/{self.name}", self._endpoint.post, operation_id=f"firehose_{self.name}")

    async def __aenter__(self) -> Self:
        if self._endpoint is not None:
            self._endpoint.open = True
        return self

    async def __aexit__(self, *_: object) -> None:
        self.stop()
        if self._endpoint is not None:
            self._endpoint.give_up()

    def stop(self) -> None:
        """Hand over nothing more. A request whose records are all on their way is still answered once they are safe."""
        self._handover.stop()
        if self._endpoint is not None:
            self._endpoint.stop()

    @property
    def gauges(self) -> SourceGauges:
        """See `Source`."""
        flows = [] if self._endpoint is None else self._endpoint.flows
        return SourceGauges(
            source=self.name,
            waiting_messages=sum(flow.waiting_messages for flow in flows),
            waiting_bytes=sum(flow.waiting_bytes for flow in flows),
            unsettled_messages=sum(flow.unsettled for flow in flows),
        )

    async def probe(self) -> None:
        """Nobody is asked: Firehose calls us."""

    async def examine(self) -> AsyncIterator[Finding]:
        """See `Examined`."""
        yield note(
            "endpoint",
            f"Firehose calls /firehose/{self.name}; whether it reaches it is not tried",
            "give the stream an https URL on port 443 with a certificate of a public authority, which leads here",
        )
        if self._config.anonymous:
            yield warning("access key", "none: anybody who reaches the port may send", "set `access_keys_file`")
        else:
            yield ok("access key", "is demanded")
