"""The ARN of what a permission is about: what settings name, in the account, region and partition where it runs."""

import re
from collections.abc import Mapping
from functools import cache
from typing import Any, Final, Protocol, assert_never

from msgspec import Struct

from service.aws.permission import Key, OfCluster, Permission, Resource
from service.errors import ConfigError
from service.iam.needs import Need

CLUSTER: Final = re.compile(r"arn:aws[a-z-]*:kafka:[a-z0-9-]+:\d{12}:cluster/[^/]+/[^/]+")
"""MSK developer guide, "Authorization policy resources"."""
KEY: Final = re.compile(r"arn:aws[a-z-]*:kms:[a-z0-9-]+:\d{12}:key/[\w-]+")
"""A policy must name the key itself: an alias is none (KMS developer guide)."""
PARTITION: Final = re.compile(r"aws(?:-[a-z]+)*")
AMAZON: Final = "amazonaws.com"
ALL: Final = ""
"""In place of a sink's or source's name."""


class Where(Protocol):
    """Account, region and partition of a role."""

    def account(self) -> str:
        """Raises ConfigError if nobody has said it."""

    def region(self, named: str | None) -> str:
        """`named`, or that of the service. Raises ConfigError if there is none."""

    def partition(self, region: str) -> str:
        """Of that region."""

    def suffix(self, region: str) -> str:
        """Of host names there: `amazonaws.com`."""


class Names(Struct, frozen=True):
    """What is known beside the settings."""

    where: Where
    clusters: Mapping[str, str] = {}
    """ARN of the MSK cluster, by name of sink or source, or ALL."""
    keys: Mapping[str, str] = {}
    """ARN of the KMS key, likewise."""

    def arn(self, need: Need) -> str | None:
        """The ARN, None for a key that there is not. Raises ConfigError saying which option is missing."""
        match need.permission.on:
            case str() as arn:
                return arn
            case Resource() as resource:
                return self._resource(resource, need.permission)
            case OfCluster() as part:
                return self._part(part, need)
            case Key():
                return self.keys.get(need.end, self.keys.get(ALL))
            case never:
                assert_never(never)

    def conditions(self, permission: Permission) -> tuple[tuple[str, str], ...]:
        """Condition keys and their values."""
        if not isinstance(permission.on, Key):
            return permission.equals
        region = self.where.region(permission.region)
        return (*permission.equals, ("kms:ViaService", f"{permission.on.via}.{region}.{self.where.suffix(region)}"))

    def _resource(self, resource: Resource, permission: Permission) -> str:
        where = self.where
        region = where.region(resource.region or permission.region)
        # a name without an account is in that of whoever calls
        _, role_partition, _, _, role_account, *_ = (permission.role or ":::::").split(":")
        partition = resource.partition or role_partition or where.partition(region)
        account = resource.account or role_account or where.account()
        return f"arn:{partition}:{resource.service}:{region}:{account}:{resource.path}"

    def _part(self, part: OfCluster, need: Need) -> str:
        cluster = self.clusters.get(need.end, self.clusters.get(ALL))
        if cluster is None:
            wanted = f"--msk-cluster {need.end}=arn:aws:kafka:REGION:ACCOUNT:cluster/NAME/UUID"
            why = "give the ARN of its MSK cluster, which no setting has and `aws kafka list-clusters-v2` shows"
            raise ConfigError([f"{need.place}: {why}: {wanted}"])
        if part.kind == "cluster":
            return cluster
        return f"{cluster.replace(':cluster/', f':{part.kind}/')}/{part.name}"


class Said(Struct, frozen=True):
    """As it was said on the command line, or is in the environment: for a policy as it is."""

    default_region: str | None
    default_account: str | None = None
    default_partition: str | None = None

    def account(self) -> str:
        """See `Where`."""
        if self.default_account is None:
            raise ConfigError(
                ["give the account: --account 123456789012; or take --format cloudformation, which knows"]
            )
        return self.default_account

    def region(self, named: str | None) -> str:
        """See `Where`."""
        if (found := named or self.default_region) is None:
            raise ConfigError(["no region; set `aws: {region: ...}`, or AWS_REGION"])
        return found

    def partition(self, region: str) -> str:
        """See `Where`: as the SDK knows it."""
        return self.default_partition or _partition(region)

    def suffix(self, region: str) -> str:
        """See `Where`."""
        return _suffix(self.partition(region))


class Stack(Struct, frozen=True):
    """As CloudFormation knows it: pseudo parameters, for `Fn::Sub`."""

    def account(self) -> str:
        """See `Where`."""
        return "${AWS::AccountId}"

    def region(self, named: str | None) -> str:
        """See `Where`."""
        return named or "${AWS::Region}"

    def partition(self, region: str) -> str:
        """See `Where`."""
        del region
        return "${AWS::Partition}"

    def suffix(self, region: str) -> str:
        """See `Where`."""
        del region
        return "${AWS::URLSuffix}"


@cache
def _partitions() -> list[dict[str, Any]]:
    from botocore.session import Session  # the SDK, which other commands need not load

    return list(Session().get_data("partitions")["partitions"])


def _partition(region: str) -> str:
    for each in _partitions():
        if region in each["regions"] or re.match(each["regionRegex"], region):
            return str(each["id"])
    return "aws"


def _suffix(partition: str) -> str:
    return next((str(each["outputs"]["dnsSuffix"]) for each in _partitions() if each["id"] == partition), AMAZON)
