"""AWS settings: the top-level `aws:` section; each may also stand on a sink, where it wins."""

from pydantic import BaseModel, ConfigDict, Field


class AwsConfig(BaseModel):
    """Region, role and endpoint. Credentials never stand here: they come from the SDK's own chain."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    region: str | None = Field(default=None, description="Region; from the SDK's own chain when absent.")
    role_arn: str | None = Field(default=None, description="Role to assume.")
    external_id: str | None = Field(default=None, description="External id for the assumed role.")
    endpoint_url: str | None = Field(default=None, description="Endpoint instead of the service's own.")
