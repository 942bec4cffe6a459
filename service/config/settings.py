"""The settings tree: every key of the configuration but the plugins' own, with its default and its meaning."""

import re
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr

from service.aws.settings import AwsConfig
from service.codecs.attributes import is_uri_reference
from service.codecs.selector import Selector
from service.config.auth import Auth, Kind, none_in_words, open_in_words
from service.config.cloudwatch import CloudWatchConfig
from service.config.quotas import QuotasConfig
from service.config.tls import TlsConfig
from service.config.tracing import TracingConfig
from service.sinks.contract import Format
from service.units import ByteSize, ConfigPath, Duration, Host

LAST_ANSWERS_SECONDS = 2.0
"""How long connections get, after the drain, to send the answers that it settled. Part of `grace`."""

LEAST_MEMORY = 32 * 2**20
"""Bytes that a process needs of `server.memory`."""

LEAST_JOURNAL = 16 * 2**20
"""Bytes that a process needs of `journal.max_bytes`."""

_TYPE_PATTERN = re.compile(r"[^*\s]+\*?|\*")


class Settings(BaseModel):
    """A part of the settings tree: unknown keys are mistakes, values never change."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def _selector(text: str) -> str:
    Selector(text)
    return text


def _type_pattern(text: str) -> str:
    if not _TYPE_PATTERN.fullmatch(text):
        raise ValueError(f"{text!r} is no type pattern: write a whole type, or a prefix that ends in `*`")
    return text


def _proxy(text: str) -> str:
    ip_network(text, strict=False)
    return text


def _web_origin(text: str) -> str:
    if text != "*" and not re.fullmatch(r"https?://[^/\s]+", text):
        raise ValueError(f"{text!r} is no origin: write scheme and host, such as https://shop.example.com")
    return text


def _event_source(text: str) -> str:
    if not text or not is_uri_reference(text):
        raise ValueError("must be a URI reference (CloudEvents `source`), such as /shop/web or urn:example:shop")
    return text


SelectorText = Annotated[str, AfterValidator(_selector)]


class ServerConfig(Settings):
    """The HTTP source."""

    host: Host = Field(default="127.0.0.1", description="Address to bind. Other than loopback demands `auth`.")
    port: int = Field(default=8080, ge=0, le=65535, description="Port to bind; 0 lets the system pick.")
    workers: int = Field(
        default=1,
        ge=1,
        le=64,
        description="Processes: one for each core. They divide `memory`, `max_requests` and `max_connections`, and "
        "the memory, the calls and the rates of each sink.",
    )
    memory: ByteSize = Field(
        default=512 * 2**20,
        ge=LEAST_MEMORY,
        description="Budget: a third for what the lanes hold, a sixth for their calls in flight, three eighths for "
        "bodies being read and answers being sent, a 32nd for request heads.",
    )
    auth: Annotated[Auth | None, BeforeValidator(none_in_words)] = Field(
        default=None, description="`none`, or which credentials are taken. Absent: anybody, on loopback only."
    )
    tls: TlsConfig | None = Field(default=None, description="Certificate and key; absent: plain HTTP.")
    max_body: ByteSize = Field(default=8 * 2**20, ge=1024, description="Most bytes of a body as sent.")
    max_decompressed: ByteSize = Field(default=32 * 2**20, ge=1024, description="Most bytes of a body when inflated.")
    max_events: int = Field(default=10_000, ge=1, le=100_000, description="Most events in one body.")
    max_nesting: int = Field(default=64, ge=2, le=500, description="Deepest nesting of an event's JSON.")
    max_requests: int = Field(default=4096, ge=1, description="Most requests being answered at once; beyond, 503.")
    max_connections: int = Field(
        default=16_384,
        ge=1,
        description="Most connections at once; beyond, 503. The limit of descriptors may be lower.",
    )
    short_way: bool = Field(
        default=True,
        description="Take plain requests below ASGI. False: all go through FastAPI, at about twice the CPU.",
    )
    body_timeout: Duration = Field(
        default=15.0,
        gt=0,
        description="How long a body may take to arrive (beyond, 408), and a long answer to be read (beyond, it ends).",
    )
    request_timeout: Duration = Field(default=25.0, gt=0, description="Longest wait for an answer after the body.")
    load_balancer_idle: Duration = Field(
        default=60.0, gt=0, description="The idle time-out of the load balancer in front; only checked against."
    )
    keep_alive: Duration = Field(default=75.0, gt=0, description="How long an idle connection is kept open.")
    trusted_proxies: tuple[Annotated[str, AfterValidator(_proxy)], ...] = Field(
        default=(), description="Addresses or networks whose X-Forwarded-For is believed."
    )
    readiness: Literal["degraded", "strict"] = Field(
        default="degraded", description="`strict`: a stuck destination makes /readyz 503 too."
    )
    deregister_delay: Duration = Field(
        default=5.0, ge=0, description="How long to serve on after SIGTERM while load balancers notice."
    )
    drain_timeout: Duration = Field(default=20.0, gt=0, description="How long lanes may deliver what they hold after.")
    grace: Duration = Field(
        default=30.0, gt=0, description="The grace period of ECS or Kubernetes; only checked against."
    )

    @property
    def lane_memory(self) -> int:
        """Bytes of `memory` for the events that lanes hold. Their calls have half as much beside (delivery.calls)."""
        return self.memory // 3

    @property
    def head_memory(self) -> int:
        """Bytes of `memory` for request heads that have begun and not ended, and for requests before their turn."""
        return self.memory // 32

    @property
    def body_memory(self) -> int:
        """Bytes of `memory` for request bodies, and for answers."""
        return self.memory * 3 // 8


class AdminConfig(Settings):
    """The admin port: /metrics, /status, /console, health."""

    host: Host = Field(default="127.0.0.1", description="Address to bind. Other than loopback demands `token`.")
    port: int = Field(default=9464, ge=0, le=65535, description="Port to bind; 0 lets the system pick.")
    token: SecretStr | None = Field(
        default=None, min_length=8, description="Bearer token, 8 characters at least; health checks need none."
    )
    tls: TlsConfig | None = Field(default=None, description="Certificate and key; absent: plain HTTP.")
    show_details: bool = Field(
        default=False, description="The console shows in full why events were refused: words that may quote them."
    )


class JournalConfig(Settings):
    """Where events of routes with `ack: stored` are kept until they are delivered."""

    path: ConfigPath = Field(
        default=Path("/var/lib/penstock"), description="Folder of its own, on a volume that outlives the container."
    )
    volume: Literal["persistent", "ephemeral"] = Field(
        default="persistent",
        description="`ephemeral`: take also a file system that goes with the container or the machine, or a network's.",
    )
    max_bytes: ByteSize = Field(
        default=10 * 2**30,
        ge=LEAST_JOURNAL,
        description="Most bytes on the disk; beyond, 503. Workers divide it.",
    )
    max_age: Duration = Field(
        default=7 * 86400.0, gt=0, description="After so long an event that was not delivered goes to the dead letters."
    )
    min_free: ByteSize = Field(
        default=256 * 2**20, ge=0, description="Bytes of the disk that stay free; with less, 503."
    )


class LogConfig(Settings):
    """Logs on standard error."""

    level: Literal["debug", "info", "warning", "error"] = Field(default="info", description="Least level written.")
    form: Literal["auto", "json", "text"] = Field(
        default="auto", description="`auto` is text on a terminal, JSON elsewhere."
    )
    sample_rejected: float = Field(
        default=0.0,
        ge=0.0,
        le=1.0,
        description="Share of refused events that are logged, 5 a second at most: code, pointer, names and types.",
    )
    values: bool = Field(
        default=False,
        description="Log what may quote events too: the value of sampled ones, the words of unexpected errors.",
    )


class To(Settings):
    """One of a route's sinks."""

    sink: str = Field(description="Name of a sink.")
    required: bool = Field(
        default=True, description="False: best effort; it never holds back an answer, and may lose events."
    )
    format: Format | None = Field(default=None, description="Instead of the sink's own `format`.")


class DeadLetter(Settings):
    """Where a route's dead letters go."""

    sink: str = Field(description="Name of a sink.")
    invalid: bool = Field(default=False, description="Also keep a copy of each event refused as invalid.")


def name_as_mapping(value: Any) -> Any:
    """A sink's name alone as the mapping it stands for."""
    return {"sink": value} if isinstance(value, str) else value


class RouteConfig(Settings):
    """A named stream of events."""

    types: tuple[Annotated[str, AfterValidator(_type_pattern)], ...] = Field(
        default=(), description="CloudEvents types that `POST /v1/events` brings here: whole, or a prefix and `*`."
    )
    schema_: dict[str, Any] | None = Field(
        default=None,
        alias="schema",
        description="Validator of each event's data, such as `{type: jsonschema, file: order.json}`.",
    )
    key: SelectorText | None = Field(
        default=None, description="Partition key: /json/pointer into the data, ce:attribute or header:name."
    )
    id: SelectorText | None = Field(default=None, description="Identity of events without an envelope; as `key`.")
    source: Annotated[str, AfterValidator(_event_source)] | None = Field(
        default=None, description="CloudEvents `source` of events without an envelope; `/routes/NAME` if absent."
    )
    ack: Literal["delivered", "stored"] = Field(
        default="delivered",
        description="When HTTP answers: `delivered` after every required sink acknowledged (200), `stored` once the "
        "journal has the events on its disk (202).",
    )
    to: tuple[Annotated[To, BeforeValidator(name_as_mapping)], ...] = Field(
        min_length=1, description="Sinks: each a name, or `{sink: name, required: false}`."
    )
    dead_letter: Annotated[DeadLetter | None, BeforeValidator(name_as_mapping)] = Field(
        default=None, description="Sink of what cannot be delivered: a name, or `{sink: name, invalid: true}`."
    )
    max_event: ByteSize | None = Field(
        default=None, ge=1, description="Most bytes of one event; as much as its sinks and dead letters take if absent."
    )
    auth: Annotated[tuple[Kind, ...] | None, BeforeValidator(open_in_words)] = Field(
        default=None,
        description="Kinds of credentials that this route takes, of those in `server.auth`: some of `keys`, `jwt`, "
        "`certificates`; `none`: it is open to anybody. Absent: all of them.",
    )
    cors: tuple[Annotated[str, AfterValidator(_web_origin)], ...] = Field(
        default=(), description="Origins of web pages that may post here, also as text/plain (sendBeacon)."
    )


class Tree(Settings):
    """The whole configuration. `sinks` and `sources` are validated by their plugins."""

    server: ServerConfig = ServerConfig()
    admin: AdminConfig = AdminConfig()
    aws: AwsConfig = AwsConfig()
    cloudwatch: CloudWatchConfig = CloudWatchConfig()
    journal: JournalConfig = JournalConfig()
    logs: LogConfig = LogConfig()
    quotas: QuotasConfig = QuotasConfig()
    tracing: TracingConfig = TracingConfig()
    sinks: dict[str, Any] = Field(default={}, description="Destinations by name.")
    routes: dict[str, RouteConfig] = Field(default={}, description="Streams of events by name.")
    sources: dict[str, Any] = Field(default={}, description="Where events come from, beside HTTP, by name.")
