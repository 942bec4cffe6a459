"""Policies: statements, merged and within the size that IAM takes."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import msgspec
from msgspec import Struct

from service.aws.permission import Permission
from service.iam.naming import Names
from service.iam.needs import Need

MOST_CHARACTERS: Final = 6144
"""Of a managed policy, white space not counted ("IAM and AWS STS quotas", IAM user guide)."""
MOST_POLICIES: Final = 10
"""Managed policies that a role takes, unless its quota was raised (the same page)."""

Conditions = tuple[tuple[str, str], ...]


class Statement(Struct, frozen=True):
    """Actions that are allowed on resources."""

    actions: tuple[str, ...]
    resources: tuple[str, ...]
    conditions: Conditions = ()

    @property
    def document(self) -> dict[str, Any]:
        """As IAM reads it."""
        made: dict[str, Any] = {"Effect": "Allow", "Action": _one_or(self.actions), "Resource": _one_or(self.resources)}
        if self.conditions:
            made["Condition"] = {"StringEquals": dict(self.conditions)}
        return made


Policy = tuple[Statement, ...]


def document(policy: Policy) -> dict[str, Any]:
    """The policy as IAM reads it."""
    return {"Version": "2012-10-17", "Statement": [statement.document for statement in policy]}


def size(policy: Policy) -> int:
    """Characters that IAM counts; more if a value has white space."""
    return len(msgspec.json.encode(document(policy)))


def roles(needs: Iterable[Need]) -> list[str]:
    """The roles that are assumed, in the order of the settings."""
    return list(dict.fromkeys(need.permission.role for need in needs if need.permission.role is not None))


def statements(needs: Sequence[Need], role: str | None, names: Names) -> Policy:
    """What one role is to be allowed; None: the service's own, which assumes the others. Raises ConfigError.

    Each resource stands in one statement for each set of conditions, together with those that allow the same actions.
    """
    asked = [need for need in needs if need.permission.role == role] + (_assuming(needs) if role is None else [])
    by_resource: dict[tuple[str, Conditions], set[str]] = {}
    for need in asked:
        if (arn := names.arn(need)) is not None:
            conditions = names.conditions(need.permission)
            by_resource.setdefault((arn, conditions), set()).update(need.permission.actions)
    by_actions: dict[tuple[tuple[str, ...], Conditions], list[str]] = {}
    for (arn, conditions), actions in by_resource.items():
        by_actions.setdefault((tuple(sorted(actions)), conditions), []).append(arn)
    return tuple(Statement(actions, tuple(sorted(arns)), given) for (actions, given), arns in by_actions.items())


def parts(policy: Policy, most: int = MOST_CHARACTERS) -> list[Policy]:
    """The same as policies that each have at most so many characters; none if it allows nothing."""
    made: list[dict[tuple[tuple[str, ...], Conditions], tuple[str, ...]]] = []
    for each in policy:
        key = (each.actions, each.conditions)
        for resource in each.resources:
            last = made[-1] if made else {}
            grown = {**last, key: (*last.get(key, ()), resource)}
            if not made or size(_policy(grown)) > most:
                made.append({key: (resource,)})
            else:
                made[-1] = grown
    return [_policy(part) for part in made]


def _policy(by_actions: Mapping[tuple[tuple[str, ...], Conditions], tuple[str, ...]]) -> Policy:
    return tuple(Statement(actions, arns, given) for (actions, given), arns in by_actions.items())


def _assuming(needs: Sequence[Need]) -> list[Need]:
    made = []
    for need in needs:
        asked = need.permission
        if asked.role is not None:
            equals = (("sts:ExternalId", asked.external_id),) if asked.external_id is not None else ()
            made.append(Need(need.place, Permission(("sts:AssumeRole",), asked.role, equals=equals)))
    return made


def _one_or(texts: tuple[str, ...]) -> Any:
    return texts[0] if len(texts) == 1 else list(texts)
