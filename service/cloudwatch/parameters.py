"""The parameters of the template: thresholds, and who is told."""

from collections.abc import Mapping
from typing import Any, Final

from msgspec import Struct

TOPIC = "AlarmTopicArn"
EMAIL = "AlarmEmail"


class Threshold(Struct, frozen=True):
    """One number of an alarm that whoever makes the stack may set."""

    name: str
    default: int | None
    """None: each sink has its own, unless one is given for all."""
    description: str

    @property
    def given(self) -> str:
        """Name of the condition that one was given, where `default` is None."""
        return f"{self.name}Given"

    @property
    def declaration(self) -> dict[str, Any]:
        """Its parameter."""
        if self.default is None:
            return {
                "Type": "String",
                "Default": "",
                "AllowedPattern": r"^$|^[0-9]+(\.[0-9]+)?$",
                "Description": self.description,
            }
        return {"Type": "Number", "Default": self.default, "MinValue": 0, "Description": self.description}


THRESHOLDS: Final[Mapping[str, Threshold]] = {
    each.name: each
    for each in (
        Threshold(
            "OldestEventAge",
            None,
            "Seconds that the oldest event of a sink may have waited, for all sinks. Empty: of each sink two thirds "
            "of its patience less call_timeout.",
        ),
        Threshold("DeadLetters", 0, "Dead letters of a sink in a minute that are no alarm."),
        Threshold("GivenBack", 0, "Events that a sink may give back in a minute, in 2 of 3 minutes."),
        Threshold("ThrottledPercent", 10, "Percent of what a sink sends that may be throttled, in 3 of 5 minutes."),
        Threshold("Refused", 0, "Events of a route that may be refused in a minute, in 2 of 3 minutes."),
        Threshold("ConsumerLag", 100_000, "Messages that a source may be behind for 5 minutes; of kafka, one replica."),
        Threshold("JournalFullness", 70, "Percent of journal.max_bytes that may be used, in 2 of 3 minutes."),
        Threshold("JournalOldestAge", 3600, "Seconds that a stored event may wait, for 3 minutes."),
        Threshold(
            "CertificateTimeLeft",
            14 * 24 * 3600,
            "Seconds that a port's certificate must still be valid: 14 days. For one that lives shorter give less.",
        ),
    )
}

WHO: Final[dict[str, dict[str, Any]]] = {
    TOPIC: {
        "Type": "String",
        "Default": "",
        "AllowedPattern": "^$|^arn:[^:]+:sns:[^:]+:[0-9]{12}:[A-Za-z0-9_-]+$",
        "Description": "ARN of an SNS topic that is told. Empty: one is made.",
    },
    EMAIL: {
        "Type": "String",
        "Default": "",
        "Description": "Address that is subscribed to that topic; it has to confirm. Empty: none.",
    },
}
