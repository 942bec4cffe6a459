"""What pydantic found wrong, in the words of this configuration: what it is, and what is allowed instead."""

import re
from difflib import get_close_matches
from typing import Any, get_args, get_origin

from pydantic import BaseModel

from service.document import Place

_COLLECTIONS = frozenset({"Tuple", "List", "Set", "Frozenset", "Dictionary"})
"""pydantic's names of them, in `too_short` and `too_long`."""


def sentence(model: type[BaseModel], place: Place, detail: dict[str, Any]) -> str:
    """What is wrong at `place` below `model`, from one of pydantic's errors. Quotes no value."""
    match detail["type"]:
        case "extra_forbidden":
            allowed = settings_at(model, place[:-1])
            near = get_close_matches(str(place[-1]), allowed, n=1)
            hint = f"did you mean `{near[0]}`? " if near else ""
            return f"is not a setting; {hint}allowed here: {', '.join(allowed)}"
        case "missing":
            return "is missing"
        case "value_error":
            return str(detail["ctx"]["error"])
        case "model_type" | "model_attributes_type" | "dict_type":
            return "must be a mapping"
        case "tuple_type" | "list_type":
            return "must be a list, such as [one, two]"
        case "string_type":
            return "must be text; quote it"
        case "path_type":
            return "must be a path; quote it"
        case "int_type" | "int_parsing" | "int_parsing_size" | "int_from_float":
            return "must be a whole number in plain digits: 1000, not 1e3 or 1,000"
        case "float_type" | "float_parsing":
            return "must be a number, such as 1000 or 0.5"
        case "bool_type" | "bool_parsing":
            return "must be true or false"
        case "string_too_short" | "too_short":
            return f"must have at least {_counted(detail['ctx'], 'min_length')}"
        case "string_too_long" | "too_long":
            return f"must have at most {_counted(detail['ctx'], 'max_length')}"
        case _:
            message = re.sub(r"^\w+ should", "must", str(detail["msg"]))
            return message[:1].lower() + message[1:]


def _counted(context: dict[str, Any], bound: str) -> str:
    """`8 characters` of a text or secret, `1 entry` of a list or mapping."""
    number = context[bound]
    if context.get("field_type") in _COLLECTIONS:
        return f"{number} {'entry' if number == 1 else 'entries'}"
    return f"{number} {'character' if number == 1 else 'characters'}"


def settings_at(model: type[BaseModel], place: Place) -> list[str]:
    """Names of the settings that may stand at `place` below `model`, sorted."""
    found: list[Any] = [model]
    for part in place:
        found = [inner for each in found for inner in _below(each, part)]
    return sorted(field.alias or name for each in _models(found) for name, field in each.model_fields.items())


def _below(annotation: Any, part: str | int) -> list[Any]:
    """What may stand under `part` of a value of this type."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [field.annotation for name, field in annotation.model_fields.items() if part in (name, field.alias)]
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is dict:
        return [arguments[1]]
    if origin in (tuple, list) and isinstance(part, int):
        return [arguments[0]]
    return [inner for each in arguments for inner in _below(each, part)]


def _models(annotations: list[Any]) -> list[type[BaseModel]]:
    """The models among these types and their alternatives."""
    found: list[type[BaseModel]] = []
    for each in annotations:
        if isinstance(each, type) and issubclass(each, BaseModel):
            found.append(each)
        elif get_origin(each) not in (dict, tuple, list):
            found += _models(list(get_args(each)))
    return found
