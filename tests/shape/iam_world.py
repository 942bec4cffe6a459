"""Configurations of every kind of caller of AWS, and which operations of AWS the code of each asks for."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import botocore.session
from botocore import xform_name

SERVICE = Path(__file__).parents[2] / "service"
ACCOUNT = "123456789012"
ROLE = "arn:{partition}:iam::210987654321:role/path/other"
SERVICES = ("kinesis", "firehose", "sqs", "cloudwatch", "secretsmanager", "ssm", "glue", "s3", "dynamodb", "sns", "kms")
"""Those whose operations are looked for."""
ACTION = {
    "sqs:SendMessageBatch": "sqs:SendMessage",
    "sqs:DeleteMessageBatch": "sqs:DeleteMessage",
    "sqs:ChangeMessageVisibilityBatch": "sqs:ChangeMessageVisibility",
}
"""Operations whose action has another name (Service Authorization Reference)."""
PARTITIONS = {"eu-west-1": "aws", "cn-north-1": "aws-cn", "us-gov-west-1": "aws-us-gov"}


def ends(region: str) -> dict[str, dict[str, dict[str, Any]]]:
    """Sinks and sources of every kind in that region, by name and by ARN."""
    partition = PARTITIONS[region]
    host = f"b-1.demo.a1b2c3.c2.kafka.{region}.amazonaws.com" + (".cn" if partition == "aws-cn" else "") + ":9098"

    def arn(service: str, path: str) -> str:
        return f"arn:{partition}:{service}:{region}:{ACCOUNT}:{path}"

    role = {"role_arn": ROLE.format(partition=partition), "external_id": "shop"}
    return {
        "sinks": {
            "stream": {"type": "kinesis", "stream": "orders"},
            "stream_arn": {"type": "kinesis", "stream": arn("kinesis", "stream/orders"), "aggregate": "kpl"},
            "lake": {"type": "firehose", "delivery_stream": "lake"},
            "lake_arn": {"type": "firehose", "delivery_stream": arn("firehose", "deliverystream/lake")},
            "queue": {"type": "sqs", "queue": "orders"},
            "queue_arn": {"type": "sqs", "queue": arn("sqs", "orders.fifo")},
            "queue_url": {"type": "sqs", "queue": f"https://sqs.{region}.amazonaws.com/{ACCOUNT}/orders"},
            "topic": {"type": "kafka", "brokers": host, "topic": "orders", "auth": "iam"},
            "other_stream": {"type": "kinesis", "stream": "theirs", **role},
            "other_queue": {"type": "sqs", "queue": "theirs", **role},
            "other_topic": {"type": "kafka", "brokers": host, "topic": "theirs", "auth": {"iam": role}},
            "local": {"type": "file", "path": "data"},
        },
        "sources": {
            "msk": {
                "type": "kafka",
                "brokers": host,
                "auth": "iam",
                "group": "what? *all*",
                "topics": {"orders.raw": "orders", r"^shop\.": "orders"},
                "max_message": "64KiB",
            },
            "uploads": {"type": "sqs", "queue": "uploads", "route": "orders", "max_message": "64KiB"},
            "pushed": {"type": "firehose", "route": "orders", "max_message": "64KiB"},
        },
    }


def configured(region: str, *names: str) -> dict[str, Any]:
    """A configuration with those sinks and sources; all of them if none is named."""
    kinds = ends(region)
    found = {kind: {n: each for n, each in of.items() if not names or n in names} for kind, of in kinds.items()}
    if not found["sinks"]:
        found["sinks"] = {"more": {"type": "file", "path": "more"}}
    sinks = found["sinks"] | {"letters": {"type": "file", "path": "letters"}}
    return {
        "aws": {"region": region},
        "cloudwatch": {"mode": "api" if not names else "off", "namespace": "Shop/Penstock"},
        "sinks": sinks,
        "sources": found["sources"],
        "routes": {"orders": {"to": list(found["sinks"]), "dead_letter": "letters"}},
    }


def operations(path: Path) -> set[str]:
    """`kinesis:PutRecords` and others: what a module, and what of ours it imports, asks AWS for.

    Any name counts that an operation has of a service whose client is opened there.
    """
    modules = closure(path)
    opened = set[str]().union(*map(opens, modules))
    return {each for module in modules for each in _named(module) if each.partition(":")[0] in opened}


@cache
def opens(path: Path) -> frozenset[str]:
    """The services that a module makes clients of: the first argument of `client(...)`."""
    calls = (node for node in ast.walk(ast.parse(path.read_bytes())) if isinstance(node, ast.Call))
    made = (call.args[0] for call in calls if call.args and _called(call) in ("client", "create_client"))
    return frozenset(str(each.value) for each in made if isinstance(each, ast.Constant))


def _called(call: ast.Call) -> str:
    return call.func.id if isinstance(call.func, ast.Name) else getattr(call.func, "attr", "")


@cache
def _methods() -> dict[str, set[str]]:
    """Operations of botocore's models, by the name that a client has them by."""
    session = botocore.session.Session()
    found: dict[str, set[str]] = {}
    for service in SERVICES:
        for name in session.get_service_model(service).operation_names:
            found.setdefault(xform_name(name), set()).add(f"{service}:{name}")
    return found


@cache
def _named(path: Path) -> frozenset[str]:
    """Operations that the text of a module names: as a method, or in a text, as `getattr` and `Operation` take it."""
    tree = ast.parse(path.read_bytes())
    names = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    names |= {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    return frozenset(each for name in names for each in _methods().get(name, ()))


@cache
def closure(path: Path) -> frozenset[Path]:
    """The module, and those of ours that it imports, however far."""
    reached, waiting = set[Path](), [path]
    while waiting:
        each = waiting.pop()
        if each not in reached:
            reached.add(each)
            waiting += _imported(each)
    return frozenset(reached)


def _imported(path: Path) -> Iterator[Path]:
    for node in ast.walk(ast.parse(path.read_bytes())):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        for name in names:
            file = SERVICE.parent.joinpath(*name.split(".")).with_suffix(".py")
            if name.startswith("service.") and file.is_file():
                yield file
