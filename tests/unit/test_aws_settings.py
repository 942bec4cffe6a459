"""AWS settings that cannot work are refused before anything starts."""

from typing import Any

import pytest

from service.aws.settings import AwsConfig

ROLE = "arn:aws:iam::123456789012:role/team/writer"


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"region": "eu-west-1"},
        {"region": "us-gov-west-1"},
        {"role_arn": ROLE},
        {"role_arn": ROLE.replace(":aws:", ":aws-cn:"), "external_id": "tenant:1/u"},
        {"endpoint_url": "http://127.0.0.1:4566"},
        {"endpoint_url": "http://[::1]:4566"},
        {"endpoint_url": "https://vpce-1.kinesis.eu-west-1.vpce.amazonaws.com/"},
    ],
)
def test_what_can_work_is_taken(settings: dict[str, Any]) -> None:
    assert AwsConfig(**settings).model_dump(exclude_none=True) == settings


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"region": "Ireland"}, "not a region such as"),
        ({"role_arn": "writer"}, "not a role such as"),
        ({"role_arn": "arn:aws:iam::123456789012:user/writer"}, "not a role such as"),
        ({"role_arn": ROLE, "external_id": "with space"}, "an external id has 2 to 1224"),
        ({"external_id": "tenant-1"}, "set `role_arn` too"),
        ({"endpoint_url": "127.0.0.1:4566"}, "an endpoint is a URL such as"),
        ({"endpoint_url": "ftp://example.com"}, "an endpoint is a URL such as"),
        ({"endpoint_url": "http://[::1"}, "an endpoint is a URL such as"),
        ({"endpoint_url": "http://127.0.0.1:99999"}, "an endpoint is a URL such as"),
        ({"endpoint_url": "http://my host:80"}, "an endpoint is a URL such as"),
        ({"endpoint_url": "https://key:secret@example.com"}, "an endpoint has no user"),
    ],
)
def test_what_cannot_work_is_refused_in_a_sentence(settings: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        AwsConfig(**settings)
