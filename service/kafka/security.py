"""Settings of how a Kafka client proves who it is, and of TLS. Nothing here is ever shown with its secrets."""

from pathlib import Path
from typing import Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    SerializerFunctionWrapHandler,
    ValidationInfo,
    field_validator,
    model_serializer,
    model_validator,
)

from service.aws.settings import AwsIdentity
from service.units import ConfigPath, is_host, is_loopback


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Password(_Part):
    """A user's name and password."""

    username: str = Field(min_length=1, description="Name of the user.")
    password: SecretStr | None = Field(default=None, min_length=1, description="Its password; `${VAR}` keeps it out.")
    password_file: ConfigPath | None = Field(default=None, description="Instead: a file whose first line it is.")

    @model_validator(mode="after")
    def _one_password(self) -> Self:
        if (self.password is None) == (self.password_file is None):
            raise ValueError("give `password` or `password_file`, one of them")
        return self


class Scram(Password):
    """SCRAM: the broker never sees the password."""

    mechanism: Literal["sha512", "sha256"] = Field(default="sha512", description="MSK has `sha512`.")


class Plain(Password):
    """PLAIN: the password itself is sent, so that it needs TLS."""


class OAuthBearer(_Part):
    """OAUTHBEARER: tokens that librdkafka fetches from an OIDC provider, as the client (client credentials)."""

    token_url: str = Field(description="The provider's token endpoint.")
    client_id: str = Field(min_length=1, description="Identity of this client there.")
    client_secret: SecretStr | None = Field(default=None, min_length=1, description="Its secret.")
    client_secret_file: ConfigPath | None = Field(default=None, description="Instead: a file whose first line it is.")
    scope: str | None = Field(default=None, min_length=1, description="Scope that is asked for.")
    extensions: dict[str, str] = Field(default={}, description="SASL extensions for the broker, by name.")

    @field_validator("token_url")
    @classmethod
    def _check_url(cls, value: str) -> str:
        wrong = "a token endpoint is a URL such as https://login.example.com/oauth2/token"
        try:
            url = urlsplit(value)
            sound = url.scheme in ("http", "https") and is_host(url.hostname or "") and url.port != 0
        except ValueError:
            raise ValueError(wrong) from None
        if not sound or url.username is not None or url.password is not None:
            raise ValueError(wrong)
        if url.scheme == "http" and not is_loopback(url.hostname or ""):
            raise ValueError("would be told the secret in clear: write https://")
        return value

    @field_validator("extensions")
    @classmethod
    def _check_extensions(cls, value: dict[str, str]) -> dict[str, str]:
        # RFC 7628 §3.1: a key is letters; and librdkafka takes them as key=value,key=value
        if any(not (name.isascii() and name.isalpha()) or "," in text for name, text in value.items()):
            raise ValueError("an extension has a name of letters, and a value without commas")
        return value

    @model_validator(mode="after")
    def _one_secret(self) -> Self:
        if (self.client_secret is None) == (self.client_secret_file is None):
            raise ValueError("give `client_secret` or `client_secret_file`, one of them")
        return self


class Iam(AwsIdentity):
    """IAM access control of MSK: tokens signed with the AWS credentials of this process, or of a role."""

    region: str | None = Field(
        default=None,
        description="Region of the brokers; that in the name of an MSK broker wins. From `aws` when absent.",
    )
    role_arn: str | None = Field(default=None, description="Role to assume. From `aws` when absent.")
    external_id: str | None = Field(default=None, description="External id for the assumed role.")

    @model_validator(mode="before")
    @classmethod
    def _as_aws_says(cls, value: Any, info: ValidationInfo) -> Any:
        aws = (info.context or {}).get("aws") or {}
        if not isinstance(value, dict):
            return value
        return {name: aws[name] for name in cls.model_fields if name in aws} | value


class Auth(_Part):
    """Who the client says it is: one of these, or nobody (`none`)."""

    iam: Iam | None = Field(default=None, description="IAM of MSK; `auth: iam` is `auth: {iam: {}}`.")
    scram: Scram | None = Field(default=None, description="SCRAM.")
    plain: Plain | None = Field(default=None, description="PLAIN.")
    oauthbearer: OAuthBearer | None = Field(default=None, description="OAUTHBEARER with an OIDC provider.")

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        given = [name for name in type(self).model_fields if getattr(self, name) is not None]
        if len(given) > 1:
            raise ValueError(f"a client has one identity: keep one of {' and '.join(f'`{name}`' for name in given)}")
        return self

    @property
    def anonymous(self) -> bool:
        """True for `auth: none`."""
        return all(getattr(self, name) is None for name in type(self).model_fields)

    @property
    def sends_secrets(self) -> bool:
        """Whether who listens to the connection could act as this client: a password or a token is sent as it is."""
        return not self.anonymous and self.scram is None

    @model_serializer(mode="wrap")
    def _in_words(self, serialize: SerializerFunctionWrapHandler) -> Any:
        return "none" if self.anonymous else serialize(self)


class Tls(_Part):
    """TLS to the brokers."""

    enabled: bool = Field(default=True, description="`tls: false` is `tls: {enabled: false}`.")
    ca_file: ConfigPath | None = Field(
        default=None, description="Authorities that the brokers' certificates come from (PEM); the system's if absent."
    )
    certificate_file: ConfigPath | None = Field(default=None, description="Certificate of this client (PEM): mTLS.")
    key_file: ConfigPath | None = Field(default=None, description="Its private key (PEM).")
    key_password: SecretStr | None = Field(default=None, min_length=1, description="Password of the private key.")
    key_password_file: ConfigPath | None = Field(default=None, description="Instead: a file whose first line it is.")

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        given = [name for name in self.model_fields_set if name != "enabled" and getattr(self, name) is not None]
        if given and not self.enabled:
            raise ValueError("without TLS there are no certificates: remove `enabled: false`, or the rest")
        if (self.certificate_file is None) != (self.key_file is None):
            raise ValueError("a certificate needs its key: give `certificate_file` and `key_file`, or neither")
        if self.key_password is not None and self.key_password_file is not None:
            raise ValueError("give `key_password` or `key_password_file`, not both")
        if self.key_file is None and (self.key_password is not None or self.key_password_file is not None):
            raise ValueError("a password of a key needs the key: give `certificate_file` and `key_file`")
        return self


def auth_in_words(value: Any) -> Any:
    """`none` and `iam` as what they mean, and what is no mapping refused with what is allowed."""
    if value == "none":
        return Auth()
    if value == "iam":
        return {"iam": {}}
    if value is None or isinstance(value, Auth) or (isinstance(value, dict) and value):
        return value
    ways = "{scram: {...}}, {plain: {...}} or {oauthbearer: {...}}"
    raise ValueError(f"write `none`, `iam`, `{{iam: {{...}}}}`, {ways}; for a client certificate see `tls`")


def tls_in_words(value: Any) -> Any:
    """`true` and `false` as the mappings they stand for."""
    return {"enabled": value} if isinstance(value, bool) else value


def secret(given: SecretStr | None, file: Path | None) -> str:
    """The secret itself; of a file its first line. Raises ValueError saying what is wrong with the file."""
    if given is not None:
        return given.get_secret_value()
    assert file is not None
    try:
        lines = file.read_text("utf-8").splitlines()
    except OSError as error:
        raise ValueError(f"{file} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError:
        raise ValueError(f"{file} is no text in UTF-8") from None
    if not lines or not lines[0]:
        raise ValueError(f"the first line of {file} is empty; the secret must stand there")
    return lines[0]
