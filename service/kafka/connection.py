"""librdkafka's properties for a connection, from the settings of any Kafka client of ours."""

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

from confluent_kafka import KafkaError, KafkaException

from service.errors import SettingErrors
from service.kafka.security import Auth, Tls, secret
from service.kafka.settings import KafkaConfig

C = TypeVar("C")
Place = tuple[str, ...]

_SCRAM: Final = {"sha512": "SCRAM-SHA-512", "sha256": "SCRAM-SHA-256"}

PLACES: Final[dict[str, Place]] = {
    "ssl.ca.location": ("tls", "ca_file"),
    "ssl.certificate.location": ("tls", "certificate_file"),
    "ssl.key.location": ("tls", "key_file"),
    "ssl.key.password": ("tls", "key_password"),
    "sasl.oauthbearer.token.endpoint.url": ("auth", "oauthbearer", "token_url"),
    "sasl.oauthbearer.client.id": ("auth", "oauthbearer", "client_id"),
    "sasl.oauthbearer.client.secret": ("auth", "oauthbearer", "client_secret"),
    "sasl.oauthbearer.scope": ("auth", "oauthbearer", "scope"),
    "sasl.oauthbearer.extensions": ("auth", "oauthbearer", "extensions"),
}
"""Where the settings are that a property comes from."""


def connection(config: KafkaConfig) -> dict[str, Any]:
    """What a client needs to reach the brokers: the user's own properties, the brokers, and `auth` and `tls`.

    With `auth: iam` there is an `oauth_cb`. Then a client's constructor blocks, for a second, or for ten if there is no
    token (confluent-kafka 2.16: it raises SASL_AUTHENTICATION_FAILED): call it off the event loop. Reads the files of
    secrets. Raises SettingErrors, with the settings' paths below `config`, if that fails.
    """
    return {
        **config.properties,
        "bootstrap.servers": config.brokers,
        "client.id": config.client_id,
        **security(config),
    }


def built(kind: Callable[[dict[str, Any]], C], properties: Mapping[str, Any]) -> C:
    """A client of this kind (`Producer`, `Consumer`, `AdminClient`). Blocks, see `connection`.

    Raises KafkaException if librdkafka refuses the properties, or for want of a token, saying why there is none.
    """
    try:
        return kind(dict(properties))
    except KafkaException as refusal:
        trouble = getattr(properties.get("oauth_cb"), "trouble", None)
        if trouble is None:
            raise
        # confluent-kafka says only that there was none
        error = KafkaError(refusal.args[0].code(), f"no token could be made: {trouble}")
        raise KafkaException(error) from refusal


def security(config: KafkaConfig) -> dict[str, Any]:
    """The properties of `auth` and `tls`; none if neither is set. Raises SettingErrors as `connection` does."""
    auth, tls = config.auth, config.tls
    if auth is None and tls is None:
        return {}
    named = auth is not None and not auth.anonymous
    protocol = ("sasl_" if named else "") + ("ssl" if config.encrypted else "plaintext")
    found: dict[str, Any] = {"security.protocol": protocol}
    if tls is not None:
        found |= _tls(tls)
    if auth is not None:
        found |= _auth(config, auth)
    return found


def _tls(tls: Tls) -> dict[str, Any]:
    files = {
        "ssl.ca.location": tls.ca_file,
        "ssl.certificate.location": tls.certificate_file,
        "ssl.key.location": tls.key_file,
    }
    found: dict[str, Any] = {name: str(path) for name, path in files.items() if path is not None}
    if tls.key_password is not None or tls.key_password_file is not None:
        found["ssl.key.password"] = _secret(tls, "key_password", ("tls",))
    return found


def _auth(config: KafkaConfig, auth: Auth) -> dict[str, Any]:
    if auth.scram is not None:
        return {
            "sasl.mechanisms": _SCRAM[auth.scram.mechanism],
            "sasl.username": auth.scram.username,
            "sasl.password": _secret(auth.scram, "password", ("auth", "scram")),
        }
    if auth.plain is not None:
        return {
            "sasl.mechanisms": "PLAIN",
            "sasl.username": auth.plain.username,
            "sasl.password": _secret(auth.plain, "password", ("auth", "plain")),
        }
    if auth.oauthbearer is not None:
        oidc = auth.oauthbearer
        optional = {
            "sasl.oauthbearer.scope": oidc.scope,
            "sasl.oauthbearer.extensions": ",".join(f"{name}={value}" for name, value in oidc.extensions.items()),
        }
        return {
            "sasl.mechanisms": "OAUTHBEARER",
            "sasl.oauthbearer.method": "oidc",
            "sasl.oauthbearer.token.endpoint.url": oidc.token_url,
            "sasl.oauthbearer.client.id": oidc.client_id,
            "sasl.oauthbearer.client.secret": _secret(oidc, "client_secret", ("auth", "oauthbearer")),
        } | {name: value for name, value in optional.items() if value}
    if auth.iam is not None:
        from service.kafka.tokens import Tokens  # the SDK, which a client without IAM need not load

        return {"sasl.mechanisms": "OAUTHBEARER", "oauth_cb": Tokens(auth.iam, config.token_region())}
    return {}


def _secret(part: Any, name: str, place: Place) -> str:
    try:
        return secret(getattr(part, name), getattr(part, f"{name}_file"))
    except ValueError as error:
        raise SettingErrors({(*place, f"{name}_file"): str(error)}) from error
