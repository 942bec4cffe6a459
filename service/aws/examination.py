"""What `penstock doctor` finds out about AWS whatever the resource: whose credentials these are, in whose words a call
is refused, and how far the clock is off.
"""

import os
import time
from collections.abc import AsyncIterator, Awaitable, Iterator, Mapping
from email.utils import parsedate_to_datetime
from typing import Any, Final

from botocore.exceptions import ClientError
from msgspec.structs import replace

from service.aws.advice import advice
from service.aws.failures import AWS_ERRORS, retry_for
from service.aws.session import client
from service.aws.settings import AwsConfig
from service.finding import Finding, note, ok, problem, warning

WARNING_SECONDS: Final = 60.0
PROBLEM_SECONDS: Final = 240.0
"""How far the clock may be off. AWS refuses a signature that is 5 minutes old (IAM user guide, "Elements of an AWS API
request signature"; "Signature expired")."""
_CALL_SECONDS: Final = 8.0
_STS_ENDPOINTS: Final = ("AWS_ENDPOINT_URL_STS", "AWS_ENDPOINT_URL")
_WORDS: Final = 1000
"""Characters of what AWS says: IAM names caller, action, resource and the kind of policy."""


class Refused(Exception):
    """A call that was refused, or could not be made. The finding says why."""

    def __init__(self, finding: Finding, answer: Mapping[str, Any]) -> None:
        """`answer`: what there is of one."""
        super().__init__(finding.found)
        self.finding = finding
        self._answer = answer

    def findings(self) -> Iterator[Finding]:
        """Why, and how far the clock is off, if it is: that may be the cause."""
        yield self.finding
        yield from clock(self._answer, unless_ok=True)


async def asked(call: Awaitable[Any], about: str, what: str, action: str, region: str) -> Mapping[str, Any]:
    """The answer. Raises Refused, in the words of whoever refused. `what` ("stream 'orders'"); `action` of IAM."""
    try:
        answer: Mapping[str, Any] = await call
    except AWS_ERRORS as error:
        retry = retry_for(error)
        response = error.response if isinstance(error, ClientError) else {}
        said = response.get("Error", {})
        words = f"{said.get('Code')}: {str(said.get('Message') or 'no message')[:_WORDS]}" if said else retry.detail
        do = advice(replace(retry, detail=""), what, action, region)
        raise Refused(problem(about, f"{action}: {words}", do), response) from error
    return answer


def clock(answer: Mapping[str, Any], *, unless_ok: bool = False) -> Iterator[Finding]:
    """How far this clock is off that of whoever answered (its `Date`). `unless_ok`: only if it is."""
    date = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("date")
    try:
        ahead = time.time() - parsedate_to_datetime(date).timestamp()
    except (TypeError, ValueError):
        return
    found = f"{abs(ahead):.0f} s {'ahead of' if ahead > 0 else 'behind'} AWS"
    do = "let the machine's clock follow a time server, such as 169.254.169.123: AWS refuses what is 5 minutes off"
    if abs(ahead) > PROBLEM_SECONDS:
        yield problem("clock", found, do)
    elif abs(ahead) > WARNING_SECONDS:
        yield warning("clock", found, do)
    elif not unless_ok:
        yield ok("clock", "as that of AWS, within a minute")


async def caller(config: AwsConfig, region: str) -> AsyncIterator[Finding]:
    """Whose credentials they are (STS GetCallerIdentity, which needs no permission). Raises ConfigError."""
    if config.endpoint_url and not config.role_arn and not any(map(os.environ.get, _STS_ENDPOINTS)):
        yield note(
            "credentials",
            "STS is not asked whose they are: `endpoint_url` is set, and STS has an endpoint of its own",
            "set AWS_ENDPOINT_URL_STS to have it asked",
        )
        return
    what = f"role {config.role_arn!r}" if config.role_arn else "the caller"
    settings = AwsConfig(region=region, role_arn=config.role_arn, external_id=config.external_id)
    async with client("sts", settings, concurrency=1, call_timeout=_CALL_SECONDS) as sts:
        try:
            answer = await asked(
                sts.get_caller_identity(), "credentials", what, "sts:GetCallerIdentity", sts.meta.region_name
            )
        except Refused as refused:
            for finding in refused.findings():
                yield finding
            return
    arn = str(answer.get("Arn", ""))
    if arn.endswith(":root"):
        yield warning("credentials", f"those of the account's root user, {arn}", "give the service a role of its own")
    else:
        yield ok("credentials", f"{arn}, account {answer.get('Account')}")
    for finding in clock(answer):
        yield finding


def encryption(key: str | None, actions: str) -> Finding:
    """What is to be known of a key that a resource is encrypted with; None: one of AWS's own."""
    if key is None or key.startswith("alias/aws/"):
        return ok("encryption", "at rest, with a key of AWS" if key else "none of KMS")
    return note(
        "encryption",
        f"with {key}",
        f"its key policy and this role must allow {actions}; doctor cannot try that without sending",
    )


def untried(*actions: str) -> Finding:
    """The permissions that only data would show."""
    names = ", ".join(actions)
    return note("permission", f"not tried, for no data is moved: {names}; a refusal shows as access_denied in /status")
