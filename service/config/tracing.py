"""The settings of distributed tracing. `traceparent` is passed on whatever they say."""

import re
from importlib.util import find_spec
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, model_validator

_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_URL = re.compile(r"https?://[^/?#\s@]+(?:/[^?#\s]*)?")
_NEEDED = ("opentelemetry.sdk.trace", "opentelemetry.exporter.otlp.proto.http")
_EXTRA = "pip install 'penstock-gateway[tracing]'"


def _endpoint(text: str) -> str:
    if not _URL.fullmatch(text):
        raise ValueError("must be an http or https URL without user, query or fragment, such as http://collector:4318")
    return text


def _header(text: str) -> str:
    if not _NAME.fullmatch(text):
        raise ValueError(f"{text!r} is no name of a header")
    return text


class TracingConfig(BaseModel):
    """Spans of requests, polls and calls."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    exporter: Literal["none", "otlp"] = Field(
        default="none", description=f"`otlp`: spans go to a collector over OTLP/HTTP; needs `{_EXTRA}`."
    )
    endpoint: Annotated[str, AfterValidator(_endpoint)] | None = Field(
        default=None, description="The collector, such as `http://127.0.0.1:4318`; `/v1/traces` is added."
    )
    headers: dict[Annotated[str, AfterValidator(_header)], SecretStr] = Field(
        default={}, description="Headers of each request to it, such as credentials; values are secret."
    )
    sample: float = Field(
        default=0.01,
        ge=0,
        le=1,
        description="Part of the requests and messages without a `traceparent` that are recorded. Others are if theirs "
        "says so.",
    )
    service_name: str = Field(default="penstock", min_length=1, max_length=255, description="`service.name` of spans.")

    @property
    def on(self) -> bool:
        """Whether there are spans."""
        return self.exporter != "none"

    @model_validator(mode="after")
    def _can_be(self) -> Self:
        if not self.on:
            return self
        if self.endpoint is None:
            raise ValueError("exporter: otlp needs an endpoint, such as http://127.0.0.1:4318")
        try:
            missing = [name for name in _NEEDED if find_spec(name) is None]
        except ModuleNotFoundError as error:
            missing = [str(error.name)]
        if missing:
            raise ValueError(f"exporter: otlp needs a package that is not installed ({missing[0]}): {_EXTRA}")
        return self
