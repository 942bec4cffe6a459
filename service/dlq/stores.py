"""Which reader a sink has, by its type: the one place where they are named."""

from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from service.config import Config
from service.dlq.reader import Reader, StoreError
from service.dlq.settled import InUseError, Settled, file_of


@dataclass(frozen=True, slots=True)
class Options:
    """How stores are opened."""

    state: Path
    """Folder of the lists of settled letters."""
    s3: tuple[str, str] | None = None
    """Bucket and prefix, where a delivery stream does not tell."""
    since: datetime | None = None
    """Letters before it are not asked for; those that do not know their time from outside are read all the same."""
    writing: bool = False
    """Whether letters are to be settled."""


async def opened(config: Config, sink: str, options: Options, stack: ExitStack) -> tuple[Reader, Settled]:
    """The reader of a sink's dead letters, not entered, and the list of its settled ones, which `stack` closes.

    Raises StoreError: also for sinks that cannot be read back.
    """
    settings = config.sinks[sink]

    def settled(identity: str) -> Settled:
        path = file_of(options.state, sink, f"{settings.type}:{identity}")
        try:
            return stack.enter_context(Settled(path, options.writing))
        except InUseError as error:
            raise StoreError(str(error)) from error
        except OSError as error:
            raise StoreError(
                f"{path}: {error.strerror}: the list of settled letters needs a folder; name another with --state"
            ) from error

    match settings.type:
        case "file":
            from service.dlq.file import FileReader
            from service.sinks.file import File

            assert isinstance(settings, File.Config)
            known = settled(str(settings.path.resolve()))
            return FileReader(sink, settings, known), known
        case "sqs":
            from service.dlq.sqs import SqsReader
            from service.sinks.sqs import Sqs

            assert isinstance(settings, Sqs.Config)
            known = settled(settings.queue)
            return SqsReader(sink, settings, known), known
        case "kafka":
            from service.dlq.kafka import KafkaReader
            from service.sinks.kafka import Kafka

            assert isinstance(settings, Kafka.Config)
            known = settled(settings.topic)
            return KafkaReader(sink, settings, known), known
        case "kinesis":
            from service.dlq.kinesis import KinesisReader
            from service.sinks.kinesis import Kinesis

            assert isinstance(settings, Kinesis.Config)
            known = settled(settings.stream)
            return KinesisReader(sink, settings, known), known
        case "firehose":
            from service.dlq.s3 import S3Reader, bucket_behind
            from service.sinks.firehose import Firehose

            assert isinstance(settings, Firehose.Config)
            bucket, prefix = options.s3 or await bucket_behind(settings)
            known = settled(bucket)
            return S3Reader(sink, settings, known, bucket, prefix, config.aws, options.since), known
        case "memory" | "stdout" as kind:
            raise StoreError(f"sink {sink!r} is of type {kind}: what it was given cannot be read back")
        case kind:
            raise StoreError(
                f"sink {sink!r} is of type {kind}, which is not ours: its letters can only be read with its own tools"
            )
