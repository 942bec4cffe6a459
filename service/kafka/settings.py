"""What every sink and source of Kafka has among its settings: where the brokers are, and how to connect to them."""

import re
from typing import Annotated, ClassVar, Final, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_serializer, field_validator, model_validator

from service.errors import ConfigError, SettingErrors
from service.kafka.properties import checked_broker, host_of, is_secret
from service.kafka.security import Auth, Tls, auth_in_words, tls_in_words
from service.units import is_loopback

_MSK_HOST: Final = re.compile(
    r"(?i).+\.kafka(?:-serverless)?\.(?P<region>[a-z]{2,}(?:-[a-z0-9]+)+)\.amazonaws\.com(?:\.cn)?"
)
"""MSK developer guide, "Get the bootstrap brokers"."""
_SECURITY: Final = (
    "security.protocol",
    "sasl.",
    "enable.sasl.",
    "ssl.ca.",
    "ssl.certificate.",
    "ssl.key.",
    "ssl.keystore.",
)
"""Properties, and families of them, that are written in `auth` and `tls`, where either is given."""


class KafkaConfig(BaseModel):
    """Mixed into the settings of a sink or source, which says what properties are its own."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    brokers: str = Field(description="Bootstrap servers, `host:port` separated by commas.")
    client_id: str = Field(
        default="penstock",
        min_length=1,
        description="Name of this client in the brokers' logs, metrics and quotas.",
    )
    auth: Annotated[Auth | None, BeforeValidator(auth_in_words)] = Field(
        default=None, description="Who this client says it is: `none`, `iam` (MSK), or one of the mappings below."
    )
    tls: Annotated[Tls | None, BeforeValidator(tls_in_words)] = Field(
        default=None,
        description="TLS with the system's authorities, none, or a mapping. Absent: as `auth` needs; with a client "
        "certificate this is mTLS.",
    )
    properties: dict[str, str] = Field(
        default={},
        description="Further librdkafka properties. Without `auth` and `tls` also `security.protocol`, `sasl.*` and "
        "`ssl.*`.",
    )

    owned: ClassVar[frozenset[str]] = frozenset()
    """Properties that are not the user's to set, beside those of the connection."""
    owned_families: ClassVar[tuple[str, ...]] = ()
    """What their names may begin with."""
    why_owned: ClassVar[str] = "cannot be set here: Penstock sets it; remove this"

    @property
    def encrypted(self) -> bool:
        """Whether `tls` and `auth` ask for TLS; where both are absent that is for `properties` to say."""
        if self.tls is not None:
            return self.tls.enabled
        return self.auth is not None and not self.auth.anonymous

    @property
    def broker_region(self) -> str | None:
        """The region in the names of MSK's brokers; None if they tell none."""
        found = (_MSK_HOST.fullmatch(host_of(broker)) for broker in self.brokers.split(","))
        return next((match["region"].lower() for match in found if match), None)

    def token_region(self) -> str:
        """The region that tokens for MSK are signed for. Raises ConfigError if there is none."""
        assert self.auth is not None
        assert self.auth.iam is not None
        if (told := self.broker_region) is not None:
            return told
        from service.aws.session import region_of  # the SDK, which a client without IAM need not load

        return region_of(self.auth.iam)

    @field_validator("brokers")
    @classmethod
    def _check_brokers(cls, value: str) -> str:
        return ",".join(map(checked_broker, value.split(",")))

    @field_validator("properties")
    @classmethod
    def _leaves_ours_alone(cls, properties: dict[str, str]) -> dict[str, str]:
        ours = [name for name in properties if cls._is_owned(name)]
        if ours:
            raise SettingErrors({(name,): cls.why_owned for name in ours})
        return properties

    @classmethod
    def _is_owned(cls, name: str) -> bool:
        return (
            name in ("bootstrap.servers", "metadata.broker.list", "client.id", "logger")
            or name in cls.owned
            or name.startswith(("test.", *cls.owned_families))
            or name.endswith("_cb")
        )

    @model_validator(mode="after")
    def _secured_in_one_way(self) -> Self:
        if self.auth is None and self.tls is None:
            return self
        wrong: dict[tuple[str, ...], str] = {
            ("properties", name): "is said by `auth` and `tls`, which are set: write it there, and remove this"
            for name in self.properties
            if name.startswith(_SECURITY)
        }
        far = next((each for each in map(host_of, self.brokers.split(",")) if not is_loopback(each)), None)
        if self.auth is not None and self.auth.sends_secrets and not self.encrypted and far is not None:
            wrong["tls",] = (
                f"without TLS anybody between here and {far} can read the secret of this client: remove this, or use "
                "`auth: {scram: ...}`"
            )
        if self.auth is not None and self.auth.iam is not None:
            try:
                self.token_region()
            except ConfigError as error:
                wrong["auth", "iam"] = "; ".join(error.mistakes)
        if wrong:
            raise SettingErrors(wrong)
        return self

    @field_serializer("properties", when_used="json")
    def _without_secrets(self, properties: dict[str, str]) -> dict[str, str]:
        return {name: "***" if is_secret(name) else value for name, value in properties.items()}
