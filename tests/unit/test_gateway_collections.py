"""Garbage collections of the running service: what start-up made is looked through before anybody is served."""

import gc

from service import gateway


async def test_what_start_up_made_is_out_of_collections_at_once_not_two_seconds_into_traffic() -> None:
    before = len(gc.get_objects())
    try:
        gateway.freeze_later()
        assert len(gc.get_objects()) < before / 10
    finally:
        gc.unfreeze()
