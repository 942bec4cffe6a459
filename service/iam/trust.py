"""Who may take the role of a service: the trust policy for ECS, for EKS in either of its ways, or for another role."""

import re
from typing import Any, Final

PROVIDER: Final = re.compile(
    r"(?:https://)?(?P<name>(?:oidc[.-]eks\.)?(?P<region>[a-z]+(?:-[a-z]+)+-\d+)?[a-z0-9.-]*/[\w./-]+)"
)
"""Name of an OIDC provider, which for a cluster of EKS has its region."""
ROLE: Final = re.compile(r"arn:aws[a-z-]*:iam::\d{12}:role/[\w+=,.@/-]+")
CLUSTER: Final = re.compile(r"arn:aws[a-z-]*:eks:[a-z0-9-]+:\d{12}:cluster/[A-Za-z0-9][\w-]*")
REGION: Final = re.compile(r"[a-z]+(?:-[a-z]+)+-\d+")
NAME: Final = re.compile(r"[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?")
"""Of a namespace, of a service account ("Object Names and IDs", Kubernetes documentation)."""
AUDIENCE: Final = "sts.amazonaws.com"
"""Of the tokens that EKS gives to pods ("IAM roles for service accounts", EKS user guide)."""


def ecs(account: str, region: str, partition: str) -> dict[str, Any]:
    """Tasks of that account and region: nobody else's, whom ECS would serve too.

    ("Amazon ECS task IAM role" in its developer guide. It knows no narrower `aws:SourceArn`.)
    """
    return _trust(
        {"Service": "ecs-tasks.amazonaws.com"},
        ["sts:AssumeRole"],
        {
            "ArnLike": {"aws:SourceArn": f"arn:{partition}:ecs:{region}:{account}:*"},
            "StringEquals": {"aws:SourceAccount": account},
        },
    )


def irsa(provider: str, account: str, partition: str, namespace: str, service_account: str) -> dict[str, Any]:
    """Pods of one service account, who show a token of the cluster's OIDC provider.

    ("Assign IAM roles to Kubernetes service accounts", EKS user guide: without `sub` any service account would do.)
    """
    return _trust(
        {"Federated": f"arn:{partition}:iam::{account}:oidc-provider/{provider}"},
        ["sts:AssumeRoleWithWebIdentity"],
        {
            "StringEquals": {
                f"{provider}:aud": AUDIENCE,
                f"{provider}:sub": f"system:serviceaccount:{namespace}:{service_account}",
            }
        },
    )


def pod_identity(namespace: str, service_account: str, cluster: str | None) -> dict[str, Any]:
    """Pods of one service account; of one cluster, if its ARN is said.

    ("Create IAM role with trust policy required by EKS Pod Identity", EKS user guide, which names the session tags. An
    association must not switch them off.)
    """
    tags = {"kubernetes-namespace": namespace, "kubernetes-service-account": service_account}
    if cluster is not None:
        tags = {"eks-cluster-arn": cluster} | tags
    return _trust(
        {"Service": "pods.eks.amazonaws.com"},
        ["sts:AssumeRole", "sts:TagSession"],
        {"StringEquals": {f"aws:RequestTag/{name}": value for name, value in tags.items()}},
    )


def other(role: str, external_id: str | None) -> dict[str, Any]:
    """The role that the service has, so that it can assume this one: what `role_arn` on a sink names."""
    condition = {"StringEquals": {"sts:ExternalId": external_id}} if external_id is not None else None
    return _trust({"AWS": role}, ["sts:AssumeRole"], condition)


def _trust(principal: dict[str, str], actions: list[str], condition: dict[str, Any] | None) -> dict[str, Any]:
    statement: dict[str, Any] = {
        "Effect": "Allow",
        "Principal": principal,
        "Action": actions if len(actions) > 1 else actions[0],
    }
    if condition is not None:
        statement["Condition"] = condition
    return {"Version": "2012-10-17", "Statement": [statement]}
