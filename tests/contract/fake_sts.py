"""STS as the fake of AWS has it: it speaks the query protocol. The keys that it gives name the role."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aiohttp import web

if TYPE_CHECKING:
    from tests.contract.fake_aws import FakeAws

Answer = dict[str, Any]


@dataclass(frozen=True)
class Call:
    """A call as it arrived."""

    operation: str
    params: Answer
    access_key: str
    region: str
    token: str = ""
    """The session token, of a role."""


def answered(aws: "FakeAws", form: Any, access_key: str, region: str) -> web.Response:
    """What STS answers to this form."""
    params = {name: str(value) for name, value in form.items()}
    operation = params["Action"]
    aws.calls.append(Call(operation, params, access_key, region))
    if operation == "GetCallerIdentity":
        return _text(
            "<GetCallerIdentityResponse><GetCallerIdentityResult>"
            f"<Arn>{aws.arn}</Arn><UserId>U</UserId><Account>123456789012</Account>"
            "</GetCallerIdentityResult></GetCallerIdentityResponse>"
        )
    if aws.role_refusal is not None:
        told = f"<ErrorResponse><Error><Code>{aws.role_refusal.code}</Code></Error></ErrorResponse>"
        return _text(told, aws.role_refusal.status)
    name = params["RoleArn"].rpartition("/")[2]
    aws.roles_given += 1
    return _text(
        f"<AssumeRoleResponse><AssumeRoleResult><Credentials><AccessKeyId>assumed-{name}</AccessKeyId>"
        f"<SecretAccessKey>s</SecretAccessKey><SessionToken>t{aws.roles_given}</SessionToken>"
        f"<Expiration>{aws.roles_expire}</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>"
    )


def _text(text: str, status: int = 200) -> web.Response:
    return web.Response(status=status, text=text, content_type="text/xml")
