"""Who reads the backlog: our service on several ways, and the plain loop that they are compared with."""

from collections.abc import Mapping
from typing import Any, Final

from bench.rows import ROUTE, Row

TOPIC: Final = "orders"
SOURCE: Final = "backlog"
PLAIN: Final = "plain"
"""Name of the plain loop."""
KPL: Final[Mapping[str, Mapping[str, Any]]] = {"kinesis": {"aggregate": "kpl"}}
LINGER: Final[Mapping[str, Mapping[str, Any]]] = {"kafka": {"linger": "5ms"}}
"""As the plain loop has it: nobody waits for an answer."""
WAYS: Final = (
    Row("kafka", "Kafka -> Kafka", ("kafka",), settings=LINGER, goal=0.4),
    Row("kafka_schema", "Kafka -> Kafka, JSON Schema", ("kafka",), settings=LINGER, schema=True, goal=0.25),
    Row("kinesis", "Kafka -> Kinesis, `kpl`", ("kinesis",), settings=KPL, goal=0.4),
    Row("kinesis_schema", "Kafka -> Kinesis, `kpl`, JSON Schema", ("kinesis",), settings=KPL, schema=True, goal=0.25),
)
"""A row's goal is a part of the plain loop's events."""


def configuration(row: Row, brokers: str, group: str, bootstrap: str, endpoint: str) -> dict[str, Any]:
    """Our service's configuration: it reads TOPIC at `brokers`, and delivers to the row's destination."""
    tree = row.configuration(bootstrap, endpoint)
    tree["sinks"]["dead"] = {"type": "memory"}
    source = {"type": "kafka", "brokers": brokers, "group": group, "codec": "cloudevents", "topics": {TOPIC: ROUTE}}
    tree["sources"] = {SOURCE: source}
    for route in tree["routes"].values():
        # a message's own key goes on
        del route["key"]
        route["dead_letter"] = "dead"
        if row.schema:
            route["schema"] = {"type": "jsonschema", "file": "order.schema.json"}
    return tree
