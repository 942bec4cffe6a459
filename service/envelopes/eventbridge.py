"""Events of Amazon EventBridge, as its rules send them to a target."""

from collections.abc import Iterable

from service.codecs.attributes import is_uri_reference
from service.codecs.draft import Caps, Refusal
from service.envelopes.contract import CodecConfig, Found, Message
from service.envelopes.document import document, refused, text_at
from service.envelopes.identity import dotted, identified


class EventBridge:
    """One event per message. Documented: Amazon EventBridge User Guide, "Amazon EventBridge events".

    Identity: `id`. Source: `source`, percent-encoded if it is no URI reference. Type: `detail-type`. Time: `time`.
    `account` and `region` are attributes of these names. Key: the message's, as EventBridge keeps no order.
    `data`: `detail`. Deletes: events like any other, told apart by their type, such as `Object Deleted`.
    Control records: there are none.
    A rule must send the matched event as it is: what an input transformer makes of it is another format.
    """

    class Config(CodecConfig):
        """`codec: eventbridge`."""

    def __init__(self, config: Config, caps: Caps) -> None:
        self._caps = caps

    def decode(self, message: Message) -> Iterable[Found]:
        """The event in `message`."""
        found = document(message, self._caps)
        if isinstance(found, Refusal):
            return (found,)
        event = found.data
        id_, source, type_ = text_at(event, "id"), text_at(event, "source"), text_at(event, "detail-type")
        if not (id_ and source and type_ and "detail" in event):
            detail = "no event of EventBridge: it must have id, source, detail-type and detail"
            return (refused(found.body, detail),)
        found.data = event["detail"]
        return (
            identified(
                found,
                id=id_,
                source=source if is_uri_reference(source) else dotted(source.replace(":", "/")),
                type=type_,
                time=text_at(event, "time"),
                account=text_at(event, "account"),
                region=text_at(event, "region"),
            ),
        )
