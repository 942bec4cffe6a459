"""The policies of one role as a CloudFormation template, for whatever account and region it is made in."""

import re
from typing import Any

from service.cloudwatch.intrinsics import Ref, Sub, as_yaml
from service.iam.policy import Policy, document, parts


def template(policy: Policy, role: str | None) -> str:
    """Managed policies, and their ARNs as an output; they are attached by who makes the role.

    They are within IAM's limit wherever the stack is made: the pseudo parameters of an ARN are together longer than
    what stands for them, in any region.
    """
    made = {
        f"Policy{number}": {
            "Type": "AWS::IAM::ManagedPolicy",
            "Properties": {
                "Description": "What Penstock does as configured.",
                "PolicyDocument": _substituted(document(part)),
            },
        }
        for number, part in enumerate(parts(policy), start=1)
    }
    whose = f"of role {role}, which Penstock assumes" if role else "of the role that Penstock has"
    return as_yaml(
        {
            "AWSTemplateFormatVersion": "2010-09-09",
            "Description": f"Permissions {whose[:500]}. Made by penstock generate iam-policy.",
            "Resources": made,
            "Outputs": {
                "PolicyArns": {
                    "Description": "ARNs, separated by commas.",
                    "Value": Sub(",".join(f"${{{name}}}" for name in made)) if len(made) > 1 else Ref("Policy1"),
                }
            },
        }
    )


def _substituted(value: Any) -> Any:
    """The same with `!Sub` where something is to be filled in; IAM's own variables stay."""
    match value:
        case dict():
            return {name: _substituted(each) for name, each in value.items()}
        case list():
            return [_substituted(each) for each in value]
        case str() if "${" in value:
            kept = re.sub(r"\$\{(?=[*?$]\})", "${!", value)
            return Sub(kept) if "${AWS::" in kept else value
        case _:
            return value
