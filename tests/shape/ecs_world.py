"""The templates of deploy/ecs, as CloudFormation would fill them in."""

import re
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from cfnlint.decode import cfn_yaml

FOLDER = Path(__file__).parents[2] / "deploy" / "ecs"
TEMPLATES = ("policy", "task", "service", "blue-green")
VALUES = {
    "AWS::Partition": "aws",
    "AWS::Region": "eu-west-1",
    "AWS::AccountId": "123456789012",
    "AWS::URLSuffix": "amazonaws.com",
    "AWS::StackName": "penstock",
}
NOTHING = object()
"""`AWS::NoValue`."""


def template(name: str) -> Any:
    """The template, with functions in their long forms."""
    return cfn_yaml.loads((FOLDER / f"{name}.yaml").read_text("utf-8"))


def parameters(name: str) -> dict[str, Any]:
    """The defaults of its parameters."""
    return {key: each.get("Default") for key, each in template(name).get("Parameters", {}).items()}


class Filled:
    """A template with these values, where these conditions hold and no others."""

    def __init__(self, name: str, conditions: Collection[str] = (), **values: Any) -> None:
        self._template = template(name)
        self._conditions = conditions
        self._values: dict[str, Any] = VALUES | {k: v for k, v in parameters(name).items() if v != ""} | values

    @property
    def resources(self) -> dict[str, Any]:
        """Properties of those that there are, by logical id."""
        found = {}
        for name, each in self._template["Resources"].items():
            if "Condition" not in each or each["Condition"] in self._conditions:
                found[name] = self._of(each["Properties"])
        return found

    def _of(self, value: Any) -> Any:
        if isinstance(value, list):
            return [made for each in value if (made := self._of(each)) is not NOTHING]
        if not isinstance(value, dict):
            return value
        if len(value) == 1:
            ((name, given),) = value.items()
            if name == "Ref":
                return NOTHING if given == "AWS::NoValue" else self._values.get(given, f"arn:{given}")
            if name.startswith("Fn::"):
                return self._function(name, given)
        return {name: made for name, each in value.items() if (made := self._of(each)) is not NOTHING}

    def _function(self, name: str, given: Any) -> Any:
        match name:
            case "Fn::If":
                return self._of(given[1] if given[0] in self._conditions else given[2])
            case "Fn::GetAtt":
                return f"arn:{'.'.join(given)}"
            case "Fn::Sub":
                text, more = given if isinstance(given, list) else (given, {})
                known: Mapping[str, Any] = self._values | self._of(more)
                return re.sub(r"\$\{([\w:.]+)\}", lambda found: str(known.get(found[1], found[1])), text)
        raise NotImplementedError(name)


def policies(resources: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Every policy of permissions among them."""
    for each in resources.values():
        yield from (policy["PolicyDocument"] for policy in each.get("Policies", ()))
        if "PolicyDocument" in each:
            yield each["PolicyDocument"]
