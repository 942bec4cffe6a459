"""What a fake queue takes (SQS API reference, SendMessageBatch)."""

import re
from typing import Any

_FORBIDDEN = re.compile("[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def unfit(entry: dict[str, Any], queue: str) -> str:
    """The code with which a queue refuses an entry; empty if it takes it."""
    body = entry["MessageBody"]
    if not body or _FORBIDDEN.search(body):
        return "InvalidMessageContents"
    ordered = {"MessageGroupId", "MessageDeduplicationId"}
    given = ordered & entry.keys()
    if given != (ordered if queue.endswith(".fifo") else set()):
        return "InvalidParameterValue"
    return "" if all(re.fullmatch(r"[!-~]{1,128}", entry[name]) for name in given) else "InvalidParameterValue"
