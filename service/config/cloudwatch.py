"""The settings of what CloudWatch gets."""

import re
from collections.abc import Sequence
from typing import Annotated, Any, Literal, Self

from msgspec.structs import replace
from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from service.aws.permission import EVERYTHING, Permission
from service.aws.settings import AwsConfig
from service.units import Duration

FLUSH_SECONDS = 2.0
"""How long the last metrics may take, after the drain. Part of `grace`."""
MINUTE_SECONDS = 60.0
HIGH_RESOLUTION_SECONDS = 10.0
OWN_DIMENSIONS = frozenset({"Service", "Route", "Sink", "Source"})
"""Those that metrics have by themselves."""
MOST_DIMENSIONS = 10
"""Beside their own; CloudWatch takes 30 in all (CloudWatch API reference, MetricDatum)."""

_NAMESPACE = re.compile(r"(?!AWS/)[A-Za-z0-9_./#-][A-Za-z0-9_./#: -]{0,254}")
"""CloudWatch API reference, PutMetricData."""
_DIMENSION = re.compile(r"[A-Za-z][\x21-\x7e]{0,249}")
"""The specification of the embedded metric format; PutMetricData takes 255 characters."""
_VALUE = re.compile(r"(?=.*\S)[\x20-\x7e]{1,1024}")
"""CloudWatch API reference, Dimension: ASCII, with at least one character that is no space."""


def _off_in_words(value: Any) -> Any:
    """`off`, which YAML reads as false."""
    return "off" if value is False else value


def _namespace(text: str) -> str:
    if not _NAMESPACE.fullmatch(text):
        raise ValueError(
            f"{text[:40]!r} is no namespace: up to 255 letters, digits and . - _ / # : and spaces; AWS/ is not yours"
        )
    return text


def _value(text: str) -> str:
    if not _VALUE.fullmatch(text):
        raise ValueError("the value of a dimension has 1 to 1024 printable ASCII characters, not all of them spaces")
    return text


def _name(text: str) -> str:
    if not _DIMENSION.fullmatch(text):
        raise ValueError(f"{text[:40]!r} is no dimension: a letter, then up to 249 ASCII characters without spaces")
    if text in OWN_DIMENSIONS:
        raise ValueError(f"{text!r} is a dimension that metrics have already; use another name")
    return text


class CloudWatchConfig(AwsConfig):
    """What CloudWatch gets, and on which way."""

    mode: Annotated[Literal["off", "api", "emf"], BeforeValidator(_off_in_words)] = Field(
        default="off",
        description="`api`: PutMetricData. `emf`: lines in the embedded metric format on standard output, for a log "
        "driver or the CloudWatch agent.",
    )
    namespace: Annotated[str, AfterValidator(_namespace)] = Field(
        default="Penstock", description="Namespace of the metrics."
    )
    service: Annotated[str, AfterValidator(_value)] = Field(
        default="penstock", description="Value of the dimension `Service`: this service among others of its kind."
    )
    dimensions: dict[Annotated[str, AfterValidator(_name)], Annotated[str, AfterValidator(_value)]] = Field(
        default={},
        max_length=MOST_DIMENSIONS,
        description="Further dimensions of every metric, such as `{Environment: production}`. One that differs from "
        "replica to replica multiplies the bill.",
    )
    high_resolution: bool = Field(
        default=False, description="Store by the second (StorageResolution 1), not by the minute."
    )
    interval: Duration | None = Field(
        default=None, ge=1, le=3600, description="How often they are sent; 1m, or 10s with `high_resolution`."
    )

    @property
    def interval_seconds(self) -> float:
        """How often metrics are sent."""
        if self.interval is not None:
            return self.interval
        return HIGH_RESOLUTION_SECONDS if self.high_resolution else MINUTE_SECONDS

    def permissions(self) -> Sequence[Permission]:
        """What a role must be allowed; lines on standard output need nothing of ours."""
        if self.mode != "api":
            return ()
        put = self.permission(EVERYTHING, "cloudwatch:PutMetricData")
        return (replace(put, equals=(("cloudwatch:namespace", self.namespace),)),)

    def within(self, aws: AwsConfig) -> Self:
        """With what the section `aws` says, where this one calls AWS and is silent."""
        if self.mode != "api":
            return self
        return self.model_copy(
            update={name: getattr(aws, name) for name in aws.model_fields_set - self.model_fields_set}
        )

    @model_validator(mode="after")
    def _emf_needs_no_aws(self) -> Self:
        if self.mode == "emf" and (given := self.model_fields_set & AwsConfig.model_fields.keys()):
            raise ValueError(f"`{min(given)}` is only used with `mode: api`: lines on standard output reach no AWS")
        return self
