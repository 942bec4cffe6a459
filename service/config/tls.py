"""The settings of TLS at a port of ours: who we are, and whether clients must say who they are."""

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from service.errors import SettingErrors
from service.units import ConfigPath, Duration


def _as_text(value: Any) -> Any:
    """YAML reads `1.2` as a number."""
    return str(value) if isinstance(value, float) else value


class TlsConfig(BaseModel):
    """TLS of a port. Absent: plain HTTP."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    certificate: ConfigPath = Field(
        description="PEM file: the port's certificate, then those between it and its authority. Read again when it "
        "changes, as the other files are."
    )
    key: ConfigPath = Field(description="PEM file of its private key, not encrypted.")
    client_ca: ConfigPath | None = Field(
        default=None, description="PEM file of the authorities whose client certificates are taken."
    )
    clients: Literal["none", "optional", "required"] = Field(
        default="none", description="Whether clients are asked for a certificate, and whether they must have one."
    )
    min_version: Annotated[Literal["1.2", "1.3"], BeforeValidator(_as_text)] = Field(
        default="1.2", description="Oldest version of TLS."
    )
    ciphers: str | None = Field(
        default=None, min_length=1, description="Cipher suites of TLS 1.2, as OpenSSL lists them; its own if absent."
    )
    handshake_timeout: Duration = Field(default=10.0, gt=0, description="How long a handshake may take.")

    @model_validator(mode="after")
    def _clients_and_their_authorities(self) -> Self:
        if self.clients != "none" and self.client_ca is None:
            raise SettingErrors(
                {("client_ca",): f"clients: {self.clients} needs the authorities of their certificates"}
            )
        if self.clients == "none" and self.client_ca is not None:
            raise SettingErrors({("clients",): "client_ca is given: say `optional` or `required`"})
        return self
