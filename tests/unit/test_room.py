"""The memory of a request: its body while that is read, what its answer takes until it is given."""

import pytest

from service.config.settings import ServerConfig
from service.errors import Busy, TooLarge
from service.http.arrival import Arrival
from service.http.room import Hold, Room
from service.http.turns import Pieces
from service.telemetry.meter import Meter


def test_what_an_answer_takes_is_held_instead_of_the_body_and_given_back() -> None:
    meter = Meter()
    room = Room(meter, capacity=1000, requests=10)
    hold = Hold(room)
    Arrival(hold, ServerConfig(), {"content-length": "400"}, Pieces())
    assert (meter.body_bytes, meter.requests_open) == (400, 1)
    hold.demand(100)
    assert meter.body_bytes == 100
    hold.demand(900)
    assert meter.body_bytes == 900
    hold.charge(50)
    assert meter.body_bytes == 50
    hold.end()
    assert (meter.body_bytes, meter.requests_open) == (0, 0)


def test_an_answer_without_room_now_is_busy_and_one_that_never_has_room_is_too_large() -> None:
    meter = Meter()
    room = Room(meter, capacity=1000, requests=10)
    server = ServerConfig()
    Arrival(Hold(room), server, {"content-length": "400"}, Pieces())
    second = Hold(room, 400)
    with pytest.raises(Busy):
        second.demand(700)
    with pytest.raises(TooLarge, match="send fewer events"):
        second.demand(1001)
    assert meter.body_bytes == 800
