"""The configuration in effect, checked: what everything is built from."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from service.aws.settings import AwsConfig
from service.config.cloudwatch import CloudWatchConfig
from service.config.quotas import QuotasConfig
from service.config.settings import AdminConfig, JournalConfig, LogConfig, RouteConfig, ServerConfig
from service.config.tracing import TracingConfig
from service.envelopes.contract import Codec
from service.receiving.contract import SourceConfig
from service.schemas.contract import Schema, SchemaConfig
from service.sinks.contract import SinkConfig


@dataclass(frozen=True)
class Config:
    """The effective configuration, checked."""

    server: ServerConfig
    admin: AdminConfig
    aws: AwsConfig
    cloudwatch: CloudWatchConfig
    journal: JournalConfig
    logs: LogConfig
    tracing: TracingConfig
    quotas: QuotasConfig
    sinks: Mapping[str, SinkConfig]
    routes: Mapping[str, RouteConfig]
    sources: Mapping[str, SourceConfig]
    codecs: Mapping[str, Codec]
    """Of each source."""
    started: frozenset[str]
    """The sinks that are started, because routes or other sinks name them."""
    max_event: Mapping[str, int]
    """Most bytes of one event, by route."""
    schemas: Mapping[str, Schema]
    """The compiled schema of each route that has one."""
    schema_settings: Mapping[str, SchemaConfig]
    """What it was compiled from."""
    origin: Path | None
    """The file, or PENSTOCK_CONFIG_YAML; None when there was neither."""
    tree: Mapping[str, Any]
    """What all of it was made of: values as YAML has them, the environment's among them. Secrets stand in clear."""
    warnings: tuple[str, ...] = ()
    """What is allowed, but hardly meant."""
    worker: int = 0
    """Which of `server.workers` this is."""
