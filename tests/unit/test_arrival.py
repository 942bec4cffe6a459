"""The memory of a request: its body while that is read, what its answer takes until it is given."""

import pytest

from service.config.settings import ServerConfig
from service.errors import Busy, TooLarge
from service.sources.arrival import Arrival, Room
from service.telemetry.meter import Meter


def test_what_an_answer_takes_is_held_instead_of_the_body_and_given_back() -> None:
    meter = Meter()
    room = Room(meter, capacity=1000, requests=10)
    arrival = Arrival(room, ServerConfig(), {"content-length": "400"})
    assert meter.body_bytes == 400
    arrival.keep(100)
    assert meter.body_bytes == 100
    arrival.keep(900)
    assert meter.body_bytes == 900
    arrival.hold(50)
    assert meter.body_bytes == 50
    arrival.hold(0)
    assert meter.body_bytes == 0


def test_an_answer_without_room_now_is_busy_and_one_that_never_has_room_is_too_large() -> None:
    meter = Meter()
    room = Room(meter, capacity=1000, requests=10)
    server = ServerConfig()
    Arrival(room, server, {"content-length": "400"})
    second = Arrival(room, server, {"content-length": "400"})
    with pytest.raises(Busy):
        second.keep(700)
    with pytest.raises(TooLarge, match="send fewer events"):
        second.keep(1001)
    assert meter.body_bytes == 800
