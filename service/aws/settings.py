"""AWS settings: the top-level `aws:` section; each may also stand on a sink, where it wins."""

import re
from typing import Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from service.aws.permission import Key, OfCluster, Permission, Resource
from service.units import is_host

_REGION = re.compile(r"[a-z]{2,}(-[a-z0-9]+)+|local")
_ROLE = re.compile(r"arn:aws[a-z-]*:iam::\d{12}:role/[\w+=,.@/-]+")
EXTERNAL_ID = re.compile(r"[\w+=,.@:/-]{2,1224}", re.ASCII)
"""STS API reference, AssumeRole."""


class AwsIdentity(BaseModel):
    """Region and role. Credentials never stand here: they come from the SDK's own chain."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    region: str | None = Field(
        default=None,
        description="Region; from the environment or the SDK's own files when absent. An ARN's own region wins.",
    )
    role_arn: str | None = Field(default=None, description="Role to assume.")
    external_id: str | None = Field(default=None, description="External id for the assumed role.")

    def named_region(self) -> str | None:
        """The region that the settings name; None if it is for the SDK to find."""
        return self.region

    def permission(self, on: str | Resource | OfCluster | Key, *actions: str, doctor: bool = False) -> Permission:
        """That the role which these settings mean may do this; see `Permission`."""
        return Permission(
            actions,
            on,
            role=self.role_arn,
            external_id=self.external_id,
            region=self.named_region(),
            doctor=doctor,
        )

    @field_validator("region")
    @classmethod
    def _check_region(cls, value: str | None) -> str | None:
        if value is not None and not _REGION.fullmatch(value):
            raise ValueError(f"{value!r} is not a region such as eu-west-1")
        return value

    @field_validator("role_arn")
    @classmethod
    def _check_role(cls, value: str | None) -> str | None:
        if value is not None and not _ROLE.fullmatch(value):
            raise ValueError(f"{value!r} is not a role such as arn:aws:iam::123456789012:role/penstock")
        return value

    @field_validator("external_id")
    @classmethod
    def _check_external_id(cls, value: str | None) -> str | None:
        if value is not None and not EXTERNAL_ID.fullmatch(value):
            raise ValueError("an external id has 2 to 1224 characters of letters, digits and _+=,.@:/-")
        return value

    @model_validator(mode="after")
    def _external_id_needs_a_role(self) -> Self:
        if self.external_id is not None and self.role_arn is None:
            raise ValueError("`external_id` is only used when a role is assumed: set `role_arn` too, or remove it")
        return self


class AwsConfig(AwsIdentity):
    """Region, role and endpoint."""

    endpoint_url: str | None = Field(
        default=None,
        description="Endpoint instead of the service's own. STS has its own: `AWS_ENDPOINT_URL_STS`.",
    )

    @field_validator("endpoint_url")
    @classmethod
    def _check_endpoint(cls, value: str | None) -> str | None:
        if value is None:
            return value
        wrong = "an endpoint is a URL such as https://kinesis.example.com or http://127.0.0.1:4566"
        try:
            url = urlsplit(value)
            sound = url.scheme in ("http", "https") and is_host(url.hostname or "") and url.port != 0
        except ValueError:  # an IPv6 address without its end, a port beyond 65535
            raise ValueError(wrong) from None
        if not sound:
            raise ValueError(wrong)
        if url.username is not None or url.query or url.fragment:
            raise ValueError("an endpoint has no user, query or fragment; credentials come from the SDK's own chain")
        return value
