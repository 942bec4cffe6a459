"""The queue an SQS setting means: given by name, URL or ARN."""

import re
from typing import Any, Self
from urllib.parse import urlsplit

from msgspec import Struct

from service.aws.arn import Arn, is_arn
from service.aws.permission import Resource

_NAME = re.compile(r"(?=.{1,80}$)[a-zA-Z0-9_-]+(\.fifo)?")


class Queue(Struct, frozen=True):
    """A queue by name; its URL, region and owner where the setting says them."""

    name: str
    url: str | None = None
    region: str | None = None
    account: str | None = None
    partition: str | None = None

    @property
    def fifo(self) -> bool:
        """FIFO queues are those, and only those, whose name ends in `.fifo` (SQS API reference, CreateQueue)."""
        return self.name.endswith(".fifo")

    @property
    def resource(self) -> Resource:
        """What IAM knows it as."""
        owner = re.search(r"/(\d{12})/[^/]+$", self.url) if self.url else None
        return Resource("sqs", self.name, self.region, owner[1] if owner else self.account, self.partition)

    @property
    def finding(self) -> tuple[str, ...]:
        """The action of `find`, if it asks."""
        return ("sqs:GetQueueUrl",) if self.url is None else ()

    async def find(self, client: Any) -> str:
        """The queue's URL, asked for with GetQueueUrl unless the setting says it. Raises what the client raises."""
        if self.url is not None:
            return self.url
        owner = {"QueueOwnerAWSAccountId": self.account} if self.account else {}
        return str((await client.get_queue_url(QueueName=self.name, **owner))["QueueUrl"])

    @classmethod
    def parse(cls, text: str) -> Self:
        """The queue that `text` means. Raises ValueError with what is allowed."""
        if is_arn(text):
            arn = Arn.parse(text, "sqs", "")
            return cls(_checked(arn.resource), None, arn.region, arn.account, arn.partition)
        if "://" not in text:
            return cls(_checked(text))
        url = urlsplit(text)
        if url.scheme not in ("http", "https") or not url.hostname or url.username is not None:
            raise ValueError("a queue's URL looks like https://sqs.eu-west-1.amazonaws.com/123456789012/orders")
        return cls(_checked(url.path.rpartition("/")[2]), text, _region(url.hostname))


def _checked(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise ValueError(
            f"{name!r} is no queue: 1 to 80 characters of letters, digits and _-, FIFO queues ending in .fifo; "
            "or give its URL or ARN"
        )
    return name


def _region(host: str) -> str | None:
    """The region in `sqs.eu-west-1.amazonaws.com` or `eu-west-1.queue.amazonaws.com`; None in others."""
    match = re.search(r"(?:^|\.)(?:sqs\.([a-z]{2,}(?:-[a-z]+)+-\d+)|([a-z]{2,}(?:-[a-z]+)+-\d+)\.queue)\.", host)
    return (match[1] or match[2]) if match else None
