"""What librdkafka itself refuses of a kafka sink's settings, found out without contacting anybody."""

import logging
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from confluent_kafka import KafkaException, Producer

from service.sinks.kafka_properties import is_secret, settings

if TYPE_CHECKING:
    from service.sinks.kafka import Kafka

_OF_THE_WHOLE: Final = "Failed to create producer: "
"""What confluent-kafka puts before refusals that no property alone is the cause of."""
_TOKENS: Final = "OAUTHBEARER"


def refusals(config: "Kafka.Config") -> dict[tuple[str, ...], str]:
    """What librdkafka refuses of the properties, by name; under `()` what it refuses of them as a whole.

    Builds a producer without brokers, which contacts nobody, and takes it down again: that takes some milliseconds.
    """
    given = config.properties
    whole, mechanism = _refusal(_unconnected(settings(config))), _refused_mechanism(given)
    if whole is None and mechanism is None:
        return {}
    found: dict[tuple[str, ...], str] = {}
    for name, value in given.items():
        alone = _refusal({name: value})
        if alone is not None and not alone.startswith(_OF_THE_WHOLE):
            found[name,] = alone
    refusal = mechanism if found else mechanism or whole
    if refusal is not None:
        found[_place(refusal, given)] = refusal.removeprefix(_OF_THE_WHOLE)
    return {place: f"librdkafka refuses it: {_without_secrets(text, given)}" for place, text in found.items()}


def _refusal(trial: Mapping[str, Any]) -> str | None:
    """What librdkafka says against these settings. Its log lines go nowhere, for nobody polls."""
    try:
        # confluent-kafka 2.16.1 ends the process over a lone surrogate: PyUnicode_AsUTF8 returns NULL, and it goes on
        "".join(f"{name}{value}" for name, value in trial.items()).encode()
        Producer({**trial, "logger": logging.getLogger(__name__)})
    except KafkaException as error:
        return " ".join(error.args[0].str().split())
    except UnicodeEncodeError:
        return "it is no valid Unicode"
    except (AttributeError, TypeError):
        return "it takes no text"  # confluent-kafka's own, which take objects of Python
    return None


def _unconnected(given: Mapping[str, Any]) -> dict[str, Any]:
    """The settings without what makes librdkafka connect: the brokers, and tokens, which it fetches at once."""
    trial = {name: value for name, value in given.items() if name != "bootstrap.servers"}
    if _mechanism(given).upper() == _TOKENS:
        trial["security.protocol"] = re.sub("(?i)^sasl_", "", given.get("security.protocol", "plaintext"))
    return trial


def _refused_mechanism(given: Mapping[str, str]) -> str | None:
    """librdkafka looks at the mechanism only if the protocol is one of SASL; it is to be known in any case."""
    mechanism = _mechanism(given)
    if mechanism.upper() in ("", _TOKENS):
        return None
    sasl = {"security.protocol": "sasl_plaintext", "sasl.username": "-", "sasl.password": "-"}
    return _refusal(sasl | {"sasl.mechanisms": mechanism})


def _mechanism(given: Mapping[str, Any]) -> str:
    return str(given.get("sasl.mechanisms", given.get("sasl.mechanism", "")))


def _place(refusal: str, given: Mapping[str, str]) -> tuple[str, ...]:
    """The property that is spoken of."""
    for name in given:
        if re.search(rf"(?<![\w.]){re.escape(name)}(?![\w.])", refusal) or (
            name.startswith("sasl.mechanism") and "SASL mechanism" in refusal
        ):
            return (name,)
    return ()


def _without_secrets(text: str, given: Mapping[str, str]) -> str:
    for name, value in given.items():
        if value and is_secret(name):
            text = re.sub(rf"(?<!\w){re.escape(value)}(?!\w)", "***", text)
    return text
