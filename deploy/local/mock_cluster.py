"""librdkafka's mock Kafka cluster, which is in the confluent-kafka wheel: brokers without Java, with faults on demand.

It speaks the real protocol (idempotent producers, headers, codecs, consumer groups) to any process of the
machine, starts in milliseconds and lives in the process that made it. It keeps only about 5 MiB per partition
and forgets the oldest beyond: whoever counts must consume all along. No SASL, no way to create topics over the wire.

`python -m deploy.local.mock_cluster --topics a,b` prints one line of JSON, `{"bootstrap": "host:port,..."}`, and
lives until its standard input closes or it gets SIGTERM. Source: librdkafka, `src/rdkafka_mock.h`.
"""

import ctypes
import ctypes.util
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any, Self

import confluent_kafka

from deploy.local.lifetime import run

PRODUCE, FETCH, METADATA = 0, 1, 3
"""Kafka protocol guide, API keys."""

_MANY = 64
"""Errors that are pushed to make a fault last: each request takes one."""

_pointer, _text, _int, _short, _size = (
    ctypes.c_void_p,
    ctypes.c_char_p,
    ctypes.c_int,
    ctypes.c_int16,
    ctypes.c_size_t,
)
_SIGNATURES: dict[str, tuple[Any, list[Any]]] = {
    "conf_new": (_pointer, []),
    "conf_set": (_int, [_pointer, _text, _text, _pointer, _size]),
    "new": (_pointer, [_int, _pointer, _text, _size]),
    "destroy": (None, [_pointer]),
    "mock_cluster_new": (_pointer, [_pointer, _int]),
    "mock_cluster_destroy": (None, [_pointer]),
    "mock_cluster_bootstraps": (_text, [_pointer]),
    "mock_group_initial_rebalance_delay_ms": (None, [_pointer, ctypes.c_int32]),
    "mock_topic_create": (_int, [_pointer, _text, _int, _int]),
    "mock_broker_set_down": (_int, [_pointer, _int]),
    "mock_broker_set_up": (_int, [_pointer, _int]),
    "mock_broker_set_rtt": (_int, [_pointer, _int, _int]),
    "mock_push_request_errors_array": (None, [_pointer, _short, _size, _pointer]),
    "mock_clear_request_errors": (None, [_pointer, _short]),
    # variadic: ctypes needs exactly the fixed arguments here to call it rightly on every platform
    "mock_partition_push_request_errors": (_int, [_pointer, _text, ctypes.c_int32, _short, _size]),
    "mock_broker_push_request_error_rtts": (_int, [_pointer, ctypes.c_int32, _short, _size]),
    "mock_start_request_tracking": (None, [_pointer]),
    "mock_get_requests": (_pointer, [_pointer, ctypes.POINTER(_size)]),
    "mock_request_api_key": (_short, [_pointer]),
    "mock_request_destroy_array": (None, [_pointer, _size]),
}


@cache
def _library() -> ctypes.CDLL:
    """The librdkafka that confluent-kafka uses: in its wheel, else the system's."""
    home = Path(confluent_kafka.__file__).parent
    bundled = [*home.parent.glob("confluent_kafka.libs/librdkafka*"), *home.glob(".dylibs/librdkafka*")]
    # the same file that confluent-kafka has loaded, so the same library
    path = str(bundled[0]) if bundled else ctypes.util.find_library("rdkafka")
    if path is None:
        raise OSError("librdkafka was not found beside confluent-kafka, nor on the system")
    library = ctypes.CDLL(path)
    for name, (result, arguments) in _SIGNATURES.items():
        function = getattr(library, f"rd_kafka_{name}")
        function.restype, function.argtypes = result, arguments
    return library


class MockCluster:
    """Brokers in this process, from entering to leaving it. Broker ids start at 1, partitions at 0."""

    def __init__(self, topics: Iterable[str] = (), partitions: int = 4, brokers: int = 3) -> None:
        self._topics = list(topics)
        self._partitions = partitions
        self._brokers = brokers
        self.bootstrap = ""
        """`host:port,...`, once entered."""

    def __enter__(self) -> Self:
        self._library = _library()
        reason = ctypes.create_string_buffer(512)
        settings = self._library.rd_kafka_conf_new()
        # it would warn that the client beneath the cluster, which is never used as one, has no brokers
        self._library.rd_kafka_conf_set(settings, b"log_level", b"0", None, 0)
        self._client = self._library.rd_kafka_new(0, settings, reason, len(reason))
        if not self._client:
            raise RuntimeError(f"librdkafka could not start: {reason.value.decode()}")
        self._cluster = self._library.rd_kafka_mock_cluster_new(self._client, self._brokers)
        if not self._cluster:
            self._library.rd_kafka_destroy(self._client)
            raise RuntimeError("librdkafka's mock cluster could not start")
        # else the first member of a group waits 3 seconds for others
        self._library.rd_kafka_mock_group_initial_rebalance_delay_ms(self._cluster, 0)
        self.bootstrap = self._library.rd_kafka_mock_cluster_bootstraps(self._cluster).decode()
        for topic in self._topics:
            self.create_topic(topic, self._partitions)
        return self

    @property
    def announcement(self) -> dict[str, str]:
        """What its line of JSON tells."""
        return {"bootstrap": self.bootstrap}

    def __exit__(self, *_: object) -> None:
        self._library.rd_kafka_mock_cluster_destroy(self._cluster)
        self._library.rd_kafka_destroy(self._client)

    def create_topic(self, topic: str, partitions: int) -> None:
        """A topic with a replica on each broker. Raises RuntimeError if it exists."""
        self._try("mock_topic_create", topic.encode(), partitions, self._brokers)

    def fail_requests(self, api: int, code: int, times: int = _MANY) -> None:
        """The next `times` requests of this API key are answered with the error code, for all they contain."""
        codes = (ctypes.c_int * times)(*[code] * times)
        pointer = ctypes.cast(codes, ctypes.c_void_p)
        self._library.rd_kafka_mock_push_request_errors_array(self._cluster, api, times, pointer)

    def stop_failing_requests(self, api: int) -> None:
        """Forget what is left of `fail_requests`."""
        self._library.rd_kafka_mock_clear_request_errors(self._cluster, api)

    def fail_partition(self, topic: str, partition: int, code: int) -> None:
        """The next produce request's part for this partition is answered with the error code, once."""
        self._try("mock_partition_push_request_errors", topic.encode(), partition, PRODUCE, 1, ctypes.c_int(code))

    def down(self) -> None:
        """All brokers drop their connections and refuse new ones."""
        for broker in range(1, self._brokers + 1):
            self._try("mock_broker_set_down", broker)

    def up(self) -> None:
        """All brokers serve again."""
        for broker in range(1, self._brokers + 1):
            self._try("mock_broker_set_up", broker)

    def delay(self, milliseconds: int) -> None:
        """Answers to requests that arrive from now on are held back that long."""
        for broker in range(1, self._brokers + 1):
            self._try("mock_broker_set_rtt", broker, milliseconds)

    def delay_next(self, api: int, milliseconds: int) -> None:
        """The next request of this API key at each broker is served, but its answer, and those after it on the
        same connection, are held back that long. `down` and `up` drop the connection.
        """
        for broker in range(1, self._brokers + 1):
            self._try(
                "mock_broker_push_request_error_rtts", broker, api, 1, ctypes.c_int(0), ctypes.c_int(milliseconds)
            )

    def track_requests(self) -> None:
        """Begin to note requests, for `requests`; forgets earlier ones."""
        self._library.rd_kafka_mock_start_request_tracking(self._cluster)

    def requests(self) -> list[int]:
        """API keys of the requests that arrived since `track_requests`."""
        count = _size(0)
        array = self._library.rd_kafka_mock_get_requests(self._cluster, ctypes.byref(count))
        if not array:
            return []
        entries = ctypes.cast(array, ctypes.POINTER(_pointer))
        keys = [self._library.rd_kafka_mock_request_api_key(entries[n]) for n in range(count.value)]
        self._library.rd_kafka_mock_request_destroy_array(array, count.value)
        return keys

    def _try(self, function: str, *arguments: Any) -> None:
        code = getattr(self._library, f"rd_kafka_{function}")(self._cluster, *arguments)
        if code:
            raise RuntimeError(f"{function}{arguments}: librdkafka's error {code}")


if __name__ == "__main__":
    run("deploy.local.mock_cluster", __doc__, MockCluster)
