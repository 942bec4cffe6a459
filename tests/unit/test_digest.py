"""What a call is counted as."""

import pytest

from service.delivery.digest import Digest
from service.delivery.entry import Entry
from service.outcome import DELIVERED, Outcome, Reason, Rejected, Retry
from tests.flow.scripted import REQUIRED, event

REFUSED = Rejected(Reason.REFUSED_CONTENT)
LATER = Retry(Reason.UNAVAILABLE)
NO_ROOM = Retry(Reason.NO_ROOM, after=0)


@pytest.mark.parametrize(
    ("outcomes", "result"),
    [
        ([DELIVERED, DELIVERED], "delivered"),
        ([DELIVERED, REFUSED], "delivered"),
        ([DELIVERED, NO_ROOM], "delivered"),
        ([DELIVERED, LATER, REFUSED], "unavailable"),
        ([REFUSED, REFUSED], "refused_content"),
    ],
)
def test_a_call_is_counted_as_delivered_or_by_its_first_failure(outcomes: list[Outcome], result: str) -> None:
    one = event(1)
    batch = [Entry(one, one, 100, 300, REQUIRED, "s") for _ in outcomes]
    digest = Digest(batch, outcomes, partitioned=False)
    assert digest.result == result
    assert len(digest.delivered) == outcomes.count(DELIVERED)
