"""The way to another lane for events whose own destination is broken (`fallback:`)."""

from msgspec.structs import replace

from service.codecs.formats import encode, resolve
from service.delivery.entry import Entry, Taken
from service.delivery.lane import Lane
from service.sinks.contract import Format


class FallbackLane:
    """Takes entries of other lanes, shaped as its own sink sends them. They keep their deadlines."""

    def __init__(self, lane: Lane, format: Format) -> None:
        self._lane = lane
        self._format = format

    def take(self, entry: Entry) -> Taken:
        """Take responsibility for `entry`, until its deadline; having done nothing unless it says TAKEN."""
        lane, original = self._lane, entry.original
        if not lane.has_room(min(original.charge, lane.capacity)):
            return Taken.FULL
        form = resolve(self._format, lane.sink.carries_attributes, original.id_in_body)
        body, content_type = encode(original, form)
        event = replace(original, body=body, content_type=content_type)
        size, charge = lane.size(event), event.charge
        if event.body is not original.body:
            charge += original.charge_beside
        if not lane.fits(size) or charge > lane.capacity:
            return Taken.REFUSED
        if not lane.has_room(charge):
            return Taken.FULL
        partition = lane.partition(event)
        if not lane.partition_has_room(partition, charge):
            return Taken.REFUSED
        adopted = Entry(event, original, size, charge, entry.terms, entry.lane, entry.owner, entry.index)
        adopted.partition = partition
        adopted.attempts = entry.attempts
        adopted.may_duplicate = entry.may_duplicate
        adopted.deadline = entry.deadline
        lane.adopt(adopted)
        return Taken.TAKEN
