"""What an IAM role must be allowed. Settings of whatever calls AWS say it; `penstock generate iam-policy` asks them.

A settings model has `permissions()` for that: one of the tree, of a sink or of a source, ours or somebody else's.
"""

import re
from collections.abc import Sequence
from typing import Literal, Protocol, Self, runtime_checkable

from msgspec import Struct

from service.aws.arn import Arn, is_arn

EVERYTHING = "*"
"""In place of an ARN, for actions that know no resources. Give such a permission a condition where there is one."""


class Resource(Struct, frozen=True):
    """What is acted on, as far as the settings name it; what they leave out is that of the role."""

    service: str
    path: str
    """The last part of the ARN, such as `stream/orders`; `*` and `?` are wildcards in it, see `literal`."""
    region: str | None = None
    """None: that of the permission."""
    account: str | None = None
    partition: str | None = None

    @classmethod
    def named(cls, text: str, service: str, kind: str) -> Self:
        """The `kind` (`stream/`; empty for none) of `service` that is called `text`, or whose ARN that is."""
        if not is_arn(text):
            return cls(service, kind + text)
        arn = Arn.parse(text, service, kind)
        return cls(service, arn.resource, arn.region, arn.account, arn.partition)

    @classmethod
    def secret(cls, text: str) -> Self:
        """The secret of Secrets Manager that is called `text`, or whose ARN that is, whole or without its ending.

        Its ARN ends in six characters that Secrets Manager adds to the name (its user guide, "What's in a secret").
        """
        _, partition, _, region, account, _, name = text.split(":") if is_arn(text) else ("", *[None] * 5, text)
        whole = partition is not None and re.search(r"-\w{6}$", str(name))
        path = f"secret:{literal(str(name))}" + ("" if whole else "-??????")
        return cls("secretsmanager", path, region, account, partition)


class OfCluster(Struct, frozen=True):
    """Something of an MSK cluster, whose ARN no setting has: brokers are named otherwise."""

    kind: Literal["cluster", "topic", "group"]
    name: str = ""
    """Of a topic or a group; wildcards as in a `Resource`."""


class Key(Struct, frozen=True):
    """The KMS key that a resource is encrypted with, if it is one of the customer's own: no setting has it either."""

    via: str
    """The service that uses it on behalf of the role, as in its host name: `kinesis`, `sqs`."""


class Permission(Struct, frozen=True):
    """Actions that a role must be allowed on something."""

    actions: tuple[str, ...]
    """Such as `kinesis:PutRecords`."""
    on: str | Resource | OfCluster | Key
    """A text is an ARN, or EVERYTHING."""
    role: str | None = None
    """ARN of the role that is assumed for it; None: the one that the service has already."""
    external_id: str | None = None
    region: str | None = None
    """Of the client that calls; None: as the SDK finds it."""
    equals: tuple[tuple[str, str], ...] = ()
    """Only if these condition keys have these values."""
    doctor: bool = False
    """Whether `penstock doctor` alone needs it."""


@runtime_checkable
class Permitted(Protocol):
    """A settings model that knows which permissions it needs."""

    def permissions(self) -> Sequence[Permission]:
        """What a role must be allowed for these settings; nothing if they do not call AWS."""


def literal(name: str) -> str:
    """The name in a `path` where `*` and `?` in it stand for themselves ("IAM policy elements: variables and tags")."""
    return re.sub(r"[*?$]", lambda found: f"${{{found[0]}}}", name)
