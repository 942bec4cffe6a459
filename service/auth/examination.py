"""What `penstock doctor` finds out about that with which credentials are checked."""

from collections.abc import AsyncIterator, Iterable
from typing import Final

from service.auth.jwks import UNREADABLE, Jwks, usable
from service.auth.keyplace import CALL_SECONDS, acting, peppers_of
from service.auth.keys import read_keys
from service.aws import session
from service.aws.examination import Refused, asked
from service.aws.settings import AwsConfig
from service.config.auth import Auth, Issuer
from service.finding import Finding, ok, problem
from service.telemetry.meter import Meter

_ABOUT: Final = "keys"


async def issuer(trusted: Issuer) -> AsyncIterator[Finding]:
    """Whether the keys of an issuer can be had, and can verify anything."""
    jwks = Jwks(trusted, Meter(), lambda: None)
    try:
        found = usable(await jwks.document(), trusted.algorithms)
    except UNREADABLE as error:
        do = "check `issuer` and `jwks_url`, the way there, and HTTPS_PROXY if there is a proxy"
        yield problem(_ABOUT, f"{type(error).__name__}: {error}"[:300], do)
        return
    algorithms = ", ".join(trusted.algorithms)
    if not found:
        yield problem(_ABOUT, f"it publishes none for {algorithms}", "set `algorithms` to what it signs with")
        return
    yield ok(_ABOUT, f"{len(found)} for {algorithms}")


async def secret(auth: Auth, routes: Iterable[str], aws: AwsConfig) -> AsyncIterator[Finding]:
    """Whether the list of API keys can be read from its secret, and used."""
    name = auth.keys_secret
    assert name is not None
    config = acting(aws, name)
    async with session.client("secretsmanager", config, concurrency=1, call_timeout=CALL_SECONDS) as client:
        call = client.get_secret_value(SecretId=name)
        try:
            answer = await asked(
                call, _ABOUT, f"secret {name!r}", "secretsmanager:GetSecretValue", session.region_of(config)
            )
        except Refused as refused:
            for finding in refused.findings():
                yield finding
            return
    text = answer.get("SecretString")
    if not isinstance(text, str):
        yield problem(_ABOUT, "the secret holds no text", "put the list of keys there as text (SecretString)")
        return
    found = read_keys(text, f"secret {name}", peppers_of(auth), routes)
    yield ok(_ABOUT, f"{len(found)} in the secret")
