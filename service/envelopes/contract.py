"""The codec contract: from one message of a source to the drafts in it. A codec knows formats, and no source.

`codec: dms` loads `service/envelopes/dms.py`; `codec: my_pkg.codecs:Mine` somebody else's.
"""

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Protocol

from msgspec import Struct
from pydantic import BaseModel, ConfigDict, Field

from service.codecs.draft import Caps, Draft, Refusal


class Message(Struct, frozen=True, gc=False):
    """One message as a source received it."""

    value: bytes
    """Empty for a message without one (a tombstone, which `tombstone` tells from an empty one)."""
    headers: Mapping[str, bytes]
    """Headers (Kafka), attributes (SQS), common attributes (Firehose) by lower-cased name, the last of each name."""
    key: str | None = None
    """What the source orders by: a Kafka message's key, an SQS message's group."""
    tombstone: bool = False
    """A Kafka message whose value is null: what has this key is deleted."""


class SkipReason(StrEnum):
    """Why a message is passed over: it is about the stream, and no event. Closed: a metric label."""

    TEST = "test"
    """A destination's test that messages arrive (Amazon S3: `s3:TestEvent`)."""
    CONTROL = "control"
    """The sender's own bookkeeping (Debezium transaction markers, heartbeats)."""
    TOMBSTONE = "tombstone"
    """Kafka's marker for log compaction, which follows a delete that was an event."""


class Skip(Struct, frozen=True, gc=False):
    """A message that holds no event and is none that went wrong: counted, and done with."""

    why: SkipReason


Found = Draft | Refusal | Skip


class CodecConfig(BaseModel):
    """What every codec's `Config` has. A codec adds its own settings beside it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    type: str = Field(description="The codec: a name such as `dms`, or `package.module:Class`.")


class Codec(Protocol):
    """Reads messages. Synchronous, without I/O; the same message gives the same drafts always.

    The constructor takes `(config: Config, caps: Caps)`. `service.plugins.load` finds the class: the one that a module
    of ours defines with a nested `Config`, or the one that is named.
    """

    @property
    def Config(self) -> type[CodecConfig]:  # noqa: N802 - a nested class, which mypy matches only with a property
        """The settings model of the plugin: a nested class."""

    def __init__(self, config: CodecConfig, caps: Caps) -> None: ...

    def decode(self, message: Message) -> Iterable[Found]:
        """The drafts in `message`, in its order: most codecs find one.

        What is no event is a Refusal that says why in words, with all the bytes of the message, or of its item: it goes
        to the dead letters. Never raises, whatever the bytes. A draft's `attributes` are those of a CloudEvent where
        the envelope gives the event an identity (`id`, `source`, `type`, `specversion`, and `time` in RFC 3339 where it
        says one), and empty where it does not: then the route, or the source by the message's place, gives it one.
        Its `key` is what the envelope orders by, else the message's. `data` is what the route's schema is held against.
        """
