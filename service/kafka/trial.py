"""What librdkafka itself refuses of a Kafka client's settings, found out without contacting anybody."""

import logging
import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from confluent_kafka import Consumer, KafkaException, Producer

from service.errors import SettingErrors
from service.kafka.connection import PLACES, Place
from service.kafka.properties import is_secret
from service.kafka.settings import KafkaConfig

_OF_THE_WHOLE: Final = "Failed to create "
"""What confluent-kafka puts before refusals that no property alone is the cause of."""
_TOKENS: Final = "OAUTHBEARER"
_SASL_MECHANISM: Final = re.compile(r"sasl\.mechanisms?")

Kind = type[Producer] | type[Consumer]
_GROUP: Final[dict[Kind, dict[str, str]]] = {Consumer: {"group.id": "-"}}
"""What a client of a kind cannot be without."""


def refusals(
    config: KafkaConfig, librdkafka: Callable[[], Mapping[str, Any]], kind: Kind = Producer
) -> SettingErrors | None:
    """What is refused of `librdkafka()`, made of `config` for a client of this kind, by the path of the setting.

    Builds a client without brokers, which contacts nobody, and takes it down again: that takes some milliseconds.
    """
    try:
        everything = librdkafka()
    except SettingErrors as unreadable:
        return unreadable
    given = config.properties
    whole, mechanism = _refusal(_unconnected(everything), kind), _refused_mechanism(given, kind)
    if whole is None and mechanism is None:
        return None
    found: dict[Place, str] = {}
    for name, value in given.items():
        alone = _refusal({name: value}, kind)
        if alone is not None and not alone.startswith(_OF_THE_WHOLE):
            found["properties", name] = alone
    refusal = mechanism if found else mechanism or whole
    if refusal is not None:
        found[_place(refusal, given, everything)] = re.sub(rf"^{_OF_THE_WHOLE}\w+: ", "", refusal)
    return SettingErrors(
        {place: f"librdkafka refuses it: {_without_secrets(text, everything)}" for place, text in found.items()}
    )


def _refusal(trial: Mapping[str, Any], kind: Kind) -> str | None:
    """What librdkafka says against these settings. Its log lines go nowhere, for nobody polls."""
    try:
        # confluent-kafka 2.16.1 ends the process over a lone surrogate: PyUnicode_AsUTF8 returns NULL, and it goes on
        "".join(f"{name}{value}" for name, value in trial.items()).encode()
        made = kind({**_GROUP.get(kind, {}), **trial, "logger": logging.getLogger(__name__)})
    except KafkaException as error:
        return " ".join(error.args[0].str().split())
    except UnicodeEncodeError:
        return "it is no valid Unicode"
    except (AttributeError, TypeError):
        return "it takes no text"  # confluent-kafka's own, which take objects of Python
    if isinstance(made, Consumer):
        made.close()
    return None


def _unconnected(given: Mapping[str, Any]) -> dict[str, Any]:
    """The settings without what makes librdkafka connect: the brokers, and tokens, which it fetches at once."""
    trial = {name: value for name, value in given.items() if name not in ("bootstrap.servers", "oauth_cb")}
    if _mechanism(given).upper() == _TOKENS:
        trial["security.protocol"] = re.sub("(?i)^sasl_", "", given.get("security.protocol", "plaintext"))
    return trial


def _refused_mechanism(given: Mapping[str, str], kind: Kind) -> str | None:
    """librdkafka looks at the mechanism only if the protocol is one of SASL; it is to be known in any case."""
    mechanism = _mechanism(given)
    if mechanism.upper() in ("", _TOKENS):
        return None
    sasl = {"security.protocol": "sasl_plaintext", "sasl.username": "-", "sasl.password": "-"}
    return _refusal(sasl | {"sasl.mechanisms": mechanism}, kind)


def _mechanism(given: Mapping[str, Any]) -> str:
    return str(given.get("sasl.mechanisms", given.get("sasl.mechanism", "")))


def _place(refusal: str, given: Mapping[str, str], everything: Mapping[str, Any]) -> Place:
    """The setting that is spoken of."""
    for name in given:
        if _speaks_of(refusal, name) or (_SASL_MECHANISM.fullmatch(name) and "SASL mechanism" in refusal):
            return ("properties", name)
    for name, place in PLACES.items():
        if name in everything and _speaks_of(refusal, name):
            return place
    return ("properties",)


def _speaks_of(refusal: str, name: str) -> bool:
    return re.search(rf"(?<![\w.]){re.escape(name)}(?![\w.])", refusal) is not None


def _without_secrets(text: str, everything: Mapping[str, Any]) -> str:
    for name, value in everything.items():
        if value and isinstance(value, str) and is_secret(name):
            text = re.sub(rf"(?<!\w){re.escape(value)}(?!\w)", "***", text)
    return text
