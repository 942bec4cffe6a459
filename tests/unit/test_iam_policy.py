"""Policies from permissions: ARNs, statements that are merged, roles, and the size that IAM takes."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from service.aws.permission import Key, OfCluster, Permission, Resource, literal
from service.config import load
from service.errors import ConfigError
from service.iam.naming import Names, Said, Stack
from service.iam.needs import Need, needs
from service.iam.policy import MOST_CHARACTERS, Statement, document, parts, roles, size, statements
from service.iam.template import template
from service.sources.kafka.prefix import names

SAID = Said("eu-west-1", "123456789012")
CLUSTER = "arn:aws:kafka:eu-west-1:123456789012:cluster/demo/0f1e-2"
ROLE = "arn:aws-cn:iam::210987654321:role/other"


def need(*actions: str, on: Any = Resource("kinesis", "stream/orders"), place: str = "sinks.a", **more: Any) -> Need:
    """A need, of a stream unless it is said."""
    return Need(place, Permission(actions, on, **more))


def arn(resource: Any, known: Names = Names(SAID), **more: Any) -> str | None:
    """The ARN of it."""
    return known.arn(need("a:B", on=resource, **more))


@pytest.mark.parametrize(
    ("resource", "more", "expected"),
    [
        (Resource("kinesis", "stream/orders"), {}, "arn:aws:kinesis:eu-west-1:123456789012:stream/orders"),
        (Resource("sqs", "q"), {"region": "cn-north-1"}, "arn:aws-cn:sqs:cn-north-1:123456789012:q"),
        (Resource("sqs", "q"), {"region": "us-gov-east-1"}, "arn:aws-us-gov:sqs:us-gov-east-1:123456789012:q"),
        (Resource("sqs", "q", account="000000000001"), {}, "arn:aws:sqs:eu-west-1:000000000001:q"),
        (Resource("sqs", "q"), {"role": ROLE, "region": "cn-north-1"}, "arn:aws-cn:sqs:cn-north-1:210987654321:q"),
        (
            Resource.named("arn:aws:kinesis:us-east-1:000000000001:stream/s", "kinesis", "stream/"),
            {"region": "eu-west-1", "role": ROLE},
            "arn:aws:kinesis:us-east-1:000000000001:stream/s",
        ),
        ("*", {}, "*"),
        (Key("sqs"), {}, None),
    ],
)
def test_a_resource_is_where_the_settings_say_and_else_where_the_role_is(
    resource: Any, more: dict[str, Any], expected: str | None
) -> None:
    assert arn(resource, **more) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("penstock/keys", "arn:aws:secretsmanager:eu-west-1:123456789012:secret:penstock/keys-??????"),
        ("what?", "arn:aws:secretsmanager:eu-west-1:123456789012:secret:what${?}-??????"),
        (
            "arn:aws-cn:secretsmanager:cn-north-1:000000000001:secret:a/b-aB3dE6",
            "arn:aws-cn:secretsmanager:cn-north-1:000000000001:secret:a/b-aB3dE6",
        ),
        (
            "arn:aws:secretsmanager:us-east-1:000000000001:secret:keys",
            "arn:aws:secretsmanager:us-east-1:000000000001:secret:keys-??????",
        ),
    ],
)
def test_a_secret_is_known_by_its_name_whatever_its_arn_ends_in(text: str, expected: str) -> None:
    assert arn(Resource.secret(text)) == expected


def test_the_keys_of_producers_may_be_read_where_a_secret_has_them() -> None:
    config = load(None, {"PENSTOCK__AWS__REGION": "eu-west-1"})
    assert needs(config) == []
    auth = SimpleNamespace(keys_secret="penstock/keys")
    read, decrypted = needs(replace(config, server=SimpleNamespace(auth=auth)))  # type: ignore[arg-type]
    assert read.permission.actions == ("secretsmanager:GetSecretValue",)
    assert (read.end, read.permission.region) == ("auth", "eu-west-1")
    assert (decrypted.permission.actions, decrypted.permission.on) == (("kms:Decrypt",), Key("secretsmanager"))


def test_what_is_in_a_cluster_has_the_clusters_name_and_uuid() -> None:
    known = Names(SAID, {"a": CLUSTER, "b": CLUSTER.replace("demo", "other")})
    assert arn(OfCluster("cluster"), known) == CLUSTER
    assert arn(OfCluster("topic", "t"), known) == "arn:aws:kafka:eu-west-1:123456789012:topic/demo/0f1e-2/t"
    assert arn(OfCluster("group", "g"), known, place="sources.b") == (
        "arn:aws:kafka:eu-west-1:123456789012:group/other/0f1e-2/g"
    )


def test_what_nobody_said_is_asked_for_by_name_and_no_wildcard_takes_its_place() -> None:
    with pytest.raises(ConfigError, match=r"sinks\.a: give the ARN of its MSK cluster.*--msk-cluster a=arn"):
        arn(OfCluster("topic", "t"))
    with pytest.raises(ConfigError, match=r"--account 123456789012"):
        arn(Resource("sqs", "q"), Names(Said("eu-west-1")))
    with pytest.raises(ConfigError, match="no region"):
        arn(Resource("sqs", "q"), Names(Said(None, "123456789012")))


def test_a_name_that_others_gave_is_no_pattern() -> None:
    assert literal("what? *all* $HOME") == "what${?} ${*}all${*} ${$}HOME"


@pytest.mark.parametrize(
    ("topic", "covers"),
    [
        ("orders.raw", "orders.raw"),
        (r"^orders\.raw$", "orders.raw"),
        (r"^orders\..*", "orders.*"),
        ("^orders.", "orders*"),
        ("^orders?x", "order*"),
        ("^a[bc]", "a*"),
        ("^ab{2}", "a*"),
        ("^ab+", "ab*"),
        ("^a(b|c)d", "a*"),
        ("^a[|]b", "a*"),
        (r"^a\|b", "a*"),
        ("^a|b", "*"),
        ("^a(b)|c", "*"),
        ("^.*", "*"),
    ],
)
def test_a_pattern_of_topics_is_covered_by_how_the_names_begin(topic: str, covers: str) -> None:
    assert names(topic) == covers


def test_what_is_done_to_one_resource_stands_in_one_statement_with_others_of_the_same_actions() -> None:
    other = Resource("kinesis", "stream/b")
    found = statements([need("k:B"), need("k:A"), need("k:A", "k:B", on=other), need("k:A")], None, Names(SAID))
    streams = tuple(f"arn:aws:kinesis:eu-west-1:123456789012:stream/{name}" for name in ("b", "orders"))
    assert found == (Statement(("k:A", "k:B"), streams),)


def test_conditions_keep_statements_apart() -> None:
    found = statements([need("k:A"), need("k:A", equals=(("k:c", "x"),))], None, Names(SAID))
    assert [each.conditions for each in found] == [(), (("k:c", "x"),)]


def test_a_key_is_for_the_service_that_uses_it_alone() -> None:
    key = "arn:aws:kms:eu-west-1:123456789012:key/1"
    found = statements([need("kms:Decrypt", on=Key("sqs"))], None, Names(SAID, keys={"": key}))
    assert [each.document for each in found] == [
        {
            "Effect": "Allow",
            "Action": "kms:Decrypt",
            "Resource": key,
            "Condition": {"StringEquals": {"kms:ViaService": "sqs.eu-west-1.amazonaws.com"}},
        }
    ]
    china = need("kms:Decrypt", on=Key("sqs"), region="cn-north-1")
    assert Names(SAID).conditions(china.permission) == (("kms:ViaService", "sqs.cn-north-1.amazonaws.com.cn"),)
    stack = (("kms:ViaService", "sqs.${AWS::Region}.${AWS::URLSuffix}"),)
    assert Names(Stack()).conditions(need("kms:Decrypt", on=Key("sqs")).permission) == stack


def test_what_another_role_does_is_in_its_policy_and_the_own_role_may_assume_it() -> None:
    asked = [need("k:A"), need("k:B", role=ROLE, external_id="shop"), need("k:C", role=ROLE)]
    assert roles(asked) == [ROLE]
    own = statements(asked, None, Names(SAID))
    assert [(each.actions, each.resources, each.conditions) for each in own[1:]] == [
        (("sts:AssumeRole",), (ROLE,), (("sts:ExternalId", "shop"),)),
        (("sts:AssumeRole",), (ROLE,), ()),
    ]
    assert [each.actions for each in statements(asked, ROLE, Names(SAID))] == [("k:B", "k:C")]


def streams(number: int) -> list[Need]:
    """Needs of so many streams."""
    return [need("k:A", "k:B", on=Resource("kinesis", f"stream/orders-{n:04}")) for n in range(number)]


def test_what_is_too_long_for_one_policy_is_several_that_allow_the_same() -> None:
    whole = statements([*streams(300), need("s:C")], None, Names(SAID))
    found = parts(whole)
    assert len(found) > 2
    assert all(size(part) <= MOST_CHARACTERS for part in found)
    # full to the brim: the first resource of the next would not fit
    assert all(size(part) > MOST_CHARACTERS - 100 for part in found[:-1])
    allowed = [(s.actions, resource) for part in found for s in part for resource in s.resources]
    assert allowed == [(s.actions, resource) for s in whole for resource in s.resources]
    assert parts(()) == []


def longest(text: str) -> int:
    """Characters of it, without white space, where everything has the longest name."""
    for name, longest in {"Partition": "aws-us-gov", "AccountId": "1" * 12, "Region": "mexico-central-1"}.items():
        text = text.replace(f"${{AWS::{name}}}", longest)
    return len("".join(text.split()))


def test_a_part_of_a_template_fits_in_every_region() -> None:
    for part in parts(statements(streams(300), None, Names(Stack()))):
        assert longest(msgspec.json.encode(document(part)).decode()) <= MOST_CHARACTERS


def test_a_template_fills_in_what_it_knows_and_leaves_variables_of_iam_alone() -> None:
    asked = [
        need("k:A", on=Resource("s", literal("what?"))),
        need("k:B", on=f"arn:aws:s:::{literal('what?')}"),
    ]
    text = template(statements(asked, None, Names(Stack())), None)
    assert "!Sub 'arn:${AWS::Partition}:s:${AWS::Region}:${AWS::AccountId}:what${!?}'" in text
    assert "Resource: arn:aws:s:::what${?}" in text


@pytest.mark.parametrize(("number", "output"), [(1, "!Ref 'Policy1'"), (100, "!Sub '${Policy1},${Policy2}'")])
def test_the_template_says_the_arns_of_all_its_policies(number: int, output: str) -> None:
    assert f"Value: {output}\n" in template(statements(streams(number), None, Names(Stack())), None)
