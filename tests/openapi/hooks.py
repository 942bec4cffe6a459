"""What schemathesis cannot know of the API: names that exist, headers that go together, how text is written."""

from typing import Any

import schemathesis
from schemathesis import GenerationMode

_ROUTES = ("orders", "notes", "events", "notes")


@schemathesis.hook  # type: ignore[untyped-decorator]  # it is installed beside the tools
def map_case(context: Any, case: Any) -> Any:
    """Of what is made up and sound: names become known ones; headers that need others beside them mostly go.

    What is made up to be wrong stays as it is.
    """
    del context
    if case.meta is None or case.meta.generation.mode is not GenerationMode.POSITIVE:
        return case
    for parameter, known in (("route", _ROUTES), ("source", ("lake",))):
        name = (case.path_parameters or {}).get(parameter)
        if isinstance(name, str) and len(name) % 5 != 4:
            case.path_parameters[parameter] = known[len(name) % len(known)]
    if case.headers and len(str(case.body)) % 3 != 2:
        for header in list(case.headers):
            if header.lower().startswith("ce-") or header.lower() == "content-encoding":
                del case.headers[header]
    return case


@schemathesis.serializer("application/x-ndjson", "application/jsonl", "*/*")  # type: ignore[untyped-decorator]
def text(context: Any, value: Any) -> bytes:
    """The bytes of a body that is text."""
    del context
    return value if isinstance(value, bytes) else str(value).encode("utf-8", "surrogatepass")
