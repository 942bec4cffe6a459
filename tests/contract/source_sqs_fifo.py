"""The harness of the sqs source, with one group of a FIFO queue: SQS hands out ten of it at most."""

from typing import ClassVar

from tests.contract.source_sqs import SqsSourceHarness


class SqsFifoSourceHarness(SqsSourceHarness):
    name: ClassVar[str] = "sqs-fifo"
    queue: ClassVar[str] = "incoming.fifo"
    group: ClassVar[str] = "g"
    most_held: ClassVar[int] = 5
    least_held: ClassVar[int] = 5
