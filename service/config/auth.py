"""Who may send: the settings of `server.auth`."""

import re
from collections.abc import Iterable
from enum import StrEnum
from typing import Annotated, Any, Final, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from service.units import ConfigPath, Duration, is_loopback

NAME: Final = re.compile(r"[A-Za-z0-9_.@-]{1,64}")
"""Of a principal."""


class Kind(StrEnum):
    """Of credentials. Closed."""

    KEYS = "keys"
    """API keys."""
    JWT = "jwt"
    """Tokens of an issuer."""
    CERTIFICATES = "certificates"
    """Clients' certificates (mutual TLS)."""


def safe_url(text: str) -> str:
    """https, or http to this machine: whoever can change what is read there decides who may send."""
    parts = urlsplit(text)
    if parts.scheme == "https" and parts.hostname and not parts.username:
        return text
    if parts.scheme == "http" and parts.hostname and is_loopback(parts.hostname) and not parts.username:
        return text
    raise ValueError("must be an https:// address (http:// only on this machine), without a user in it")


def texts_in_words(value: Any) -> Any:
    """One text as a list of it."""
    return [value] if isinstance(value, str) else value


def mappings_in_words(value: Any) -> Any:
    """One mapping as a list of it."""
    return [value] if isinstance(value, dict) else value


class _Settings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Issuer(_Settings):
    """Whose tokens are taken."""

    issuer: str = Field(min_length=1, description="What stands in `iss`: exactly this text.")
    audience: Annotated[tuple[str, ...], BeforeValidator(texts_in_words)] = Field(
        min_length=1, description="One of these must stand in `aud`."
    )
    jwks_url: Annotated[str, AfterValidator(safe_url)] | None = Field(
        default=None,
        description="Where its keys are (JWKS). Absent: as `ISSUER/.well-known/openid-configuration` says.",
    )
    algorithms: tuple[
        Literal["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"], ...
    ] = Field(default=("RS256", "ES256"), min_length=1, description="Signatures that are taken.")
    leeway: Duration = Field(default=30.0, ge=0, le=300, description="How far clocks may differ.")
    refresh: Duration = Field(default=600.0, ge=10, le=86_400, description="How often its keys are fetched.")
    name_claim: str = Field(default="sub", min_length=1, description="The claim that names the principal.")
    name_prefix: str = Field(
        default="jwt:",
        pattern=r"^[A-Za-z0-9_.-]{1,32}:$",
        description="What stands before that name. Several issuers need one each: none can then name another's.",
    )
    routes: tuple[str, ...] | None = Field(default=None, description="Routes that its tokens may send to; absent: all.")
    routes_claim: str | None = Field(
        default=None,
        min_length=1,
        description="A claim with the token's routes, a list or words, such as `scope`. Without it there are none.",
    )
    routes_prefix: str = Field(
        default="",
        description="What stands before a route's name there, such as `penstock:`; other words are not ours.",
    )

    @model_validator(mode="after")
    def _discoverable(self) -> Self:
        if self.jwks_url is None:
            safe_url(self.issuer)
        return self


class ClientCertificate(_Settings):
    """Whom a client's certificate names."""

    subject: str = Field(
        min_length=1, description="Its SPIFFE ID, or its subject as RFC 4514 writes it: `CN=loader,O=Example`."
    )
    name: str = Field(pattern=f"^{NAME.pattern}$", description="The principal.")
    routes: tuple[str, ...] | None = Field(default=None, description="Routes that it may send to; absent: all.")


class Auth(_Settings):
    """Who may send. `none`: anybody who reaches the port. Several kinds may stand side by side."""

    keys_file: ConfigPath | None = Field(
        default=None, description="File of API keys, as `penstock key` prints them. Read again when it changes."
    )
    keys_variable: str | None = Field(
        default=None, description="Name of the environment variable that holds the same text."
    )
    keys_secret: str | None = Field(
        default=None,
        min_length=1,
        description="Name or ARN of the secret in AWS Secrets Manager that holds the same text.",
    )
    keys_refresh: Duration = Field(default=60.0, ge=1, le=86_400, description="How often that secret is read.")
    pepper_file: ConfigPath | None = Field(
        default=None,
        description="File of the pepper with which API keys are hashed, 32 characters at least; below it, a line each, "
        "older ones whose keys are still taken. Read again when it changes.",
    )
    pepper_variable: str | None = Field(default=None, description="Name of the environment variable that holds it.")
    jwt: Annotated[tuple[Issuer, ...], BeforeValidator(mappings_in_words)] = Field(
        default=(), description="Issuers whose tokens (JWT) are taken: one, or a list."
    )
    certificates: tuple[ClientCertificate, ...] = Field(
        default=(), description="Clients' certificates that are taken; needs `server.tls` with `clients`."
    )

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        _at_most_one("keys", self.keys_file, self.keys_variable, self.keys_secret)
        _at_most_one("pepper", self.pepper_file, self.pepper_variable)
        peppered = self.pepper_file is not None or self.pepper_variable is not None
        if self.has_keys and not peppered:
            raise ValueError("API keys are hashed with a pepper: give pepper_file or pepper_variable")
        if peppered and not self.has_keys:
            raise ValueError("a pepper is for API keys: give keys_file, keys_variable or keys_secret")
        for name, found in (*_issuers(self.jwt), *_certificates(self.certificates)):
            if twice := sorted({each for each in found if found.count(each) > 1}):
                raise ValueError(f"{name} {twice[0]!r} stands there twice: each entry needs its own")
        return self

    @property
    def has_keys(self) -> bool:
        """Whether API keys are taken."""
        return self.keys_file is not None or self.keys_variable is not None or self.keys_secret is not None

    @property
    def kinds(self) -> frozenset[Kind]:
        """What is taken; empty for `auth: none`."""
        found = {Kind.KEYS: self.has_keys, Kind.JWT: self.jwt, Kind.CERTIFICATES: self.certificates}
        return frozenset(kind for kind, there in found.items() if there)

    @property
    def anonymous(self) -> bool:
        """True for `auth: none`."""
        return not self.kinds


def _issuers(entries: Iterable[Issuer]) -> Iterable[tuple[str, list[str]]]:
    return [("issuer", [each.issuer for each in entries]), ("name_prefix", [each.name_prefix for each in entries])]


def _certificates(entries: Iterable[ClientCertificate]) -> Iterable[tuple[str, list[str]]]:
    return [("subject", [each.subject for each in entries]), ("name", [each.name for each in entries])]


def _at_most_one(what: str, file: object, variable: object, secret: object = None) -> None:
    if sum(each is not None for each in (file, variable, secret)) > 1:
        more = f", {what}_variable or {what}_secret" if what == "keys" else f" or {what}_variable"
        raise ValueError(f"give {what}_file{more}, not two of them")


def none_in_words(value: Any) -> Any:
    """`none` as what it means, and what is no mapping refused with what is allowed."""
    if value == "none":
        return Auth()
    if value is None or isinstance(value, Auth) or (isinstance(value, dict) and value):
        return value
    raise ValueError("write `none`, or a mapping such as `{keys_file: keys.yaml, pepper_file: pepper}`")


def open_in_words(value: Any) -> Any:
    """A route's `auth`: `none` as no kind at all, one kind as a list of it."""
    if value == "none":
        return ()
    if value == [] or value == ():
        raise ValueError("write `none` for a route that is open to anybody")
    return (value,) if isinstance(value, str) else value
