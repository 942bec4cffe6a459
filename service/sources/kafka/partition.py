"""One partition of a Kafka topic, from its assignment to us until it goes, or is read again from an earlier place.

What may be committed is the settled prefix, contiguous in the order of delivery. Offsets are never counted with: a
compacted topic has holes, and a transactional one markers that are no messages.
"""

from collections import deque
from collections.abc import Iterable, Sequence

from confluent_kafka import Message as KafkaMessage

from service.envelopes.contract import Message
from service.receiving.flow import Flow
from service.receiving.received import Received

PER_MESSAGE_BYTES = 700
"""What a message takes of memory beside its value and key: librdkafka's, confluent-kafka's and our own objects."""
SHORTEST_AGAIN = 1.0
LONGEST_AGAIN = 60.0
"""Seconds after which a partition is read again of which something was not kept (the journal's disk failed)."""
_NO_HEADERS: dict[str, bytes] = {}

Key = tuple[str, int]
"""Topic and number."""


class Partition:
    """An assignment. Only the event loop's thread calls it."""

    def __init__(
        self, key: Key, flow: Flow, most_messages: int, most_bytes: int, *, commits_start: bool = False
    ) -> None:
        """`commits_start`: where it begins is committed before anything is settled. A group without an offset would
        else begin at the end again, beyond all that was received and is not settled."""
        self.key = key
        self.flow = flow
        self.paused = False
        self.position: int | None = None
        """The offset to go on at, if everything before it is settled and something was; what is committed."""
        self.committed: int | None = None
        """What was told the brokers."""
        self.ahead_bytes = 0
        """Received, and not within the settled prefix."""
        self._most_messages = most_messages
        self._most_bytes = most_bytes
        self._commits_start = commits_start
        self._ahead: deque[tuple[int, int]] = deque()
        """Offset and bytes of the same."""
        self._popped = 0
        self._last = -1
        """The offset of the message that was received last."""
        self._end: int | None = None
        self._halted = False

    def receive(self, messages: Sequence[KafkaMessage]) -> None:
        """Hand these over, which follow on what came before."""
        if self._halted:
            return
        received = [_received(message) for message in messages]
        ahead = self._ahead
        self._end = None
        if self._commits_start and self.position is None:
            self.position = messages[0].offset()
        for message, found in zip(messages, received, strict=True):
            self._last = message.offset()  # type: ignore[assignment]  # what was received has one
            ahead.append((self._last, found.size))
            self.ahead_bytes += found.size
        self.flow.offer(received)

    def halt(self) -> None:
        """Hand nothing more over: it goes, or is read again."""
        self._halted = True
        self.flow.halt()

    def ends(self, offset: int) -> None:
        """There is nothing more before `offset`, which may be beyond the last message: markers of transactions."""
        if not self._halted and offset > self._last:
            self._end = offset
            self.advance()

    def advance(self) -> None:
        """Take note of what is settled."""
        settled, ahead = self.flow.settled_before, self._ahead
        offset = -1
        while self._popped < settled:
            offset, size = ahead.popleft()
            self.ahead_bytes -= size
            self._popped += 1
        if offset >= 0:
            self.position = offset + 1
        if not ahead and self._end is not None:
            self.position = self._end

    @property
    def ahead(self) -> int:
        """Messages that were received and are not within the settled prefix."""
        return len(self._ahead)

    @property
    def first_unsettled(self) -> int | None:
        """The offset of the first message that is not settled; None if there is none."""
        return self._ahead[0][0] if self._ahead else None

    def is_over(self, part: int = 1) -> bool:
        """Whether it is further ahead of what is settled than it may, or than this part of it."""
        return len(self._ahead) * part >= self._most_messages or self.ahead_bytes * part >= self._most_bytes


def _received(message: KafkaMessage) -> Received:
    value, key = message.value(), message.key()
    try:
        headers = message.headers()
    except (UnicodeDecodeError, SystemError):
        # a header's name is no UTF-8. confluent-kafka 2.16 raises this once, and then gives a null pointer for the name
        headers = None
    size = PER_MESSAGE_BYTES
    if value is not None:
        size += len(value)
    text = None
    if key is not None:
        size += len(key)
        try:
            text = key.decode()
        except UnicodeDecodeError:
            text = key.hex()
    found = _NO_HEADERS
    if headers:
        found = {name.lower(): content or b"" for name, content in headers}  # type: ignore[misc, str-unpack]
        size += sum(map(len, found.values())) + 100 * len(found)
    place = f"{message.topic()}/{message.partition()}/{message.offset()}"
    return Received(Message(value or b"", found, text, value is None), place, size)


def by_partition(messages: Sequence[KafkaMessage]) -> Iterable[tuple[Key, list[KafkaMessage]]]:
    """The messages of each partition, in their order."""
    found: dict[Key, list[KafkaMessage]] = {}
    for message in messages:
        key: Key = (message.topic(), message.partition())  # type: ignore[assignment]  # a message that came has both
        if key in found:
            found[key].append(message)
        else:
            found[key] = [message]
    return found.items()
