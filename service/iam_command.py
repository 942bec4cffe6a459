"""`penstock generate iam-policy` and `trust-policy`: what a role is to be allowed, and who may take it."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from service.errors import ConfigError
from service.terminal import File, fail, loaded
from service.units import counted

if TYPE_CHECKING:
    from service.config import Config
    from service.iam.needs import Need
    from service.iam.policy import Policy

Account = Annotated[str | None, typer.Option(metavar="DIGITS", help="Account of what has no ARN.")]
Partition = Annotated[str | None, typer.Option(help="Such as aws-us-gov; if absent, that of the region.")]


class Format(StrEnum):
    """How a policy is printed."""

    JSON = "json"
    CLOUDFORMATION = "cloudformation"


class Bearer(StrEnum):
    """What gives a role's credentials to the service."""

    IRSA = "irsa"
    POD_IDENTITY = "pod-identity"
    ECS = "ecs"
    ROLE = "role"


def iam_policy(
    config: File = None,
    form: Annotated[Format, typer.Option("--format", help="The policy alone, or a template that makes it.")] = (
        Format.JSON
    ),
    account: Account = None,
    partition: Partition = None,
    role: Annotated[str | None, typer.Option(help="Of one `role_arn`, in place of the service's own role.")] = None,
    part: Annotated[int | None, typer.Option(min=1, help="Which, where one policy cannot hold all.")] = None,
    msk_cluster: Annotated[
        list[str] | None, typer.Option(help="ARN of the MSK cluster of all that sign in with IAM, or NAME=ARN; repeat.")
    ] = None,
    kms_key: Annotated[
        list[str] | None, typer.Option(help="ARN of a key of yours that all are encrypted with, or NAME=ARN; repeat.")
    ] = None,
    doctor: Annotated[bool, typer.Option("--doctor", help="Allow also what `penstock doctor` alone needs.")] = False,
) -> None:
    """Print the IAM policy of least privilege: what exactly this configuration needs of AWS, and nothing else."""
    from service.iam.naming import CLUSTER, KEY, Names, Said, Stack
    from service.iam.needs import needs
    from service.iam.policy import MOST_POLICIES, document, parts, roles, statements
    from service.iam.template import template

    found = loaded(config, keys=False)
    asked = needs(found, doctor)
    ends = [need.end for need in asked]
    clusters = _by_name(msk_cluster, CLUSTER, "--msk-cluster", ends)
    keys = _by_name(kms_key, KEY, "--kms-key", ends)
    if part is not None and form is Format.CLOUDFORMATION:
        _wrong("a template makes them all", "--part")
    if role is not None and role not in (known := roles(asked)):
        _wrong(f"no setting assumes it; one of {', '.join(known) or 'none'}", "--role")
    where = Stack() if form is Format.CLOUDFORMATION else Said(_region(found), _account(account), _partition(partition))
    try:
        policy = statements(asked, role, Names(where, clusters, keys))
    except ConfigError as error:
        fail("\n".join(error.mistakes))
    if not policy:
        fail("nothing in this configuration calls AWS with this role: it needs no policy")
    if form is Format.CLOUDFORMATION:
        typer.echo(template(policy, role), nl=False)
    else:
        typer.echo(json.dumps(document(_one(policy, part)), indent=2))
    if (number := len(parts(policy))) > MOST_POLICIES:
        typer.echo(f"note: {number} policies; a role takes {MOST_POLICIES}, unless its quota was raised", err=True)
    for note in _notes(found, asked, role, keys):
        typer.echo(f"note: {note}", err=True)


def trust_policy(
    bearer: Annotated[Bearer, typer.Option("--for", help="What gives the role's credentials to the service.")],
    account: Account = None,
    region: Annotated[str | None, typer.Option(help="ecs: of the tasks.")] = None,
    partition: Partition = None,
    oidc_provider: Annotated[str | None, typer.Option(help="irsa: of the cluster, as EKS shows it.")] = None,
    cluster: Annotated[str | None, typer.Option(help="pod-identity: ARN of the cluster; if absent, any.")] = None,
    namespace: Annotated[str, typer.Option(help="irsa, pod-identity: of the service account.")] = "penstock",
    service_account: Annotated[str, typer.Option(help="irsa, pod-identity.")] = "penstock",
    role: Annotated[str | None, typer.Option(help="role: ARN of the role that the service has itself.")] = None,
    external_id: Annotated[str | None, typer.Option(help="role: as the configuration has it.")] = None,
) -> None:
    """Print who may take the service's role: its tasks or pods, and nobody that AWS would do it for by mistake."""
    from service.aws.settings import EXTERNAL_ID
    from service.iam import trust
    from service.iam.naming import Said

    own, partition = _account(account), _partition(partition)
    for name, option in ((namespace, "--namespace"), (service_account, "--service-account")):
        _formed(name, trust.NAME, option, "lower-case letters, digits and -; wildcards mean nothing here")
    match bearer:
        case Bearer.ECS:
            tasks = _needed(region, "--region")
            _formed(tasks, trust.REGION, "--region", "such as eu-west-1")
            made = trust.ecs(_needed(own, "--account"), tasks, Said(tasks, own, partition).partition(tasks))
        case Bearer.IRSA:
            provider = _needed(oidc_provider, "--oidc-provider")
            if (host := trust.PROVIDER.fullmatch(provider)) is None:
                _wrong("write it as EKS does: oidc.eks.eu-west-1.amazonaws.com/id/EXAMPLE", "--oidc-provider")
            there = host["region"] or "us-east-1"
            where = Said(there, own, partition).partition(there)
            made = trust.irsa(host["name"], _needed(own, "--account"), where, namespace, service_account)
        case Bearer.POD_IDENTITY:
            _formed(cluster, trust.CLUSTER, "--cluster", "arn:aws:eks:REGION:ACCOUNT:cluster/NAME")
            made = trust.pod_identity(namespace, service_account, cluster)
        case Bearer.ROLE:
            _formed(role, trust.ROLE, "--role", "arn:aws:iam::ACCOUNT:role/NAME")
            _formed(external_id, EXTERNAL_ID, "--external-id", "2 to 1224 letters, digits and _+=,.@:/-")
            made = trust.other(_needed(role, "--role"), external_id)
    typer.echo(json.dumps(made, indent=2))


def _one(policy: "Policy", part: int | None) -> "Policy":
    """The policy, or the part of it that is asked for."""
    from service.iam.policy import MOST_CHARACTERS, parts, size

    found = parts(policy)
    if part is None and len(found) > 1:
        fail(
            f"the policy has {size(policy)} characters, and IAM takes {MOST_CHARACTERS}: it is {len(found)} policies, "
            "`--part 1` and so on; or `--format cloudformation`, which makes them all"
        )
    if part is not None and part > len(found):
        _wrong(f"there {'is' if len(found) == 1 else 'are'} {counted(len(found), 'part')}", "--part")
    return found[(part or 1) - 1]


def _notes(config: "Config", asked: Sequence["Need"], role: str | None, keys: Mapping[str, str]) -> Iterable[str]:
    """What there is to know beside the policy."""
    from service.aws.permission import Key
    from service.iam.needs import silent
    from service.iam.policy import roles

    for other in roles(asked) if role is None else ():
        yield (
            f"what is done as {other} is not in this policy: see `--role {other}`; and that role has to trust this one "
            "(`penstock generate trust-policy --for role`)"
        )
    if not keys and any(isinstance(need.permission.on, Key) and need.permission.role == role for need in asked):
        yield "a stream or queue that is encrypted with a KMS key of yours needs that key too: --kms-key [NAME=]ARN"
    for place in silent(config):
        yield f"{place} is somebody else's, and does not say what it needs: `permissions` in docs/extend.md"
    for name in config.sinks.keys() - config.started:
        yield f"sinks.{name}: no route uses it; nothing is allowed for it"


def _region(config: "Config") -> str | None:
    from service.aws.session import region_of

    try:
        return region_of(config.aws)
    except ConfigError:
        return None  # everything that calls AWS may name its own


def _by_name(given: list[str] | None, pattern: re.Pattern[str], option: str, ends: Iterable[str]) -> dict[str, str]:
    """By name of sink or source, or ALL."""
    from service.iam.naming import ALL

    found: dict[str, str] = {}
    for each in given or ():
        name, equals, arn = each.partition("=")
        name, arn = (name, arn) if equals else (ALL, name)
        if not pattern.fullmatch(arn):
            _wrong(f"{arn!r} is no such ARN", option)
        if name != ALL and name not in ends:
            _wrong(f"{name!r} is no sink or source that calls AWS", option)
        found[name] = arn
    return found


def _account(account: str | None) -> str | None:
    if account is not None and not re.fullmatch(r"\d{12}", account):
        _wrong("an account has 12 digits", "--account")
    return account


def _partition(partition: str | None) -> str | None:
    from service.iam.naming import PARTITION

    _formed(partition, PARTITION, "--partition", "aws, aws-cn, aws-us-gov, ...")
    return partition


def _formed(value: str | None, pattern: re.Pattern[str], option: str, form: str) -> None:
    if value is not None and not pattern.fullmatch(value):
        _wrong(f"{value!r} is none: {form}", option)


def _needed(value: str | None, option: str) -> str:
    if value is None:
        _wrong("is needed here", option)
    return value


def _wrong(what: str, option: str) -> NoReturn:
    raise typer.BadParameter(what, param_hint=option)
