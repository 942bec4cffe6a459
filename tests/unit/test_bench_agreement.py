"""The bench calls a run wrong when a destination and the acknowledgements disagree, and void when it was disturbed."""

from math import nan

import pytest
from msgspec.structs import replace

from bench.contestants import Side
from bench.measure import AGAIN, LATE, Measured, complaints, undisturbed
from bench.program import Counts, Load, Taken

NOTHING = Taken(0, 0, 0, 0, 0)
BEFORE = Counts(NOTHING, NOTHING, NOTHING, NOTHING, 0.0)
LOAD = Load(
    requests=10, acknowledged=1000, seconds=1.0, per_second=1000.0, statuses={"200": 10}, errors={}, unsent=0,
    p50_ms=1.0, p99_ms=2.0, p999_ms=3.0, cpu_share=0.1, sample="",
)  # fmt: skip
RUN = Measured(
    Side.OURS, 1000.0, 1.0, 2.0, 3.0, cpu_microseconds=10.0, peak_bytes=2**20, load_core=0.5, load_cpu=0.3,
    stubs_cpu=0.1, strangers=0.0, headers=nan,
)  # fmt: skip


def after(kafka: int = 0, kinesis: int = 0, unknown: int = 0) -> Counts:
    return Counts(
        Taken(kafka, kafka, 1, 0, unknown), Taken(kinesis, kinesis, 1, 0, 0), NOTHING, NOTHING, cpu_seconds=0.1
    )


def test_a_destination_that_has_what_was_acknowledged_is_no_complaint() -> None:
    assert complaints(LOAD, 100, ("kafka", "kinesis"), BEFORE, after(1000, 1000)) == []


@pytest.mark.parametrize("taken", [999, 1001, 0])
def test_one_event_more_or_less_in_one_destination_is_a_complaint(taken: int) -> None:
    told = complaints(LOAD, 100, ("kafka", "kinesis"), BEFORE, after(1000, taken))
    assert told == [f"kinesis has taken {taken} events, and 1000 were acknowledged"]


def test_only_what_was_taken_since_the_run_began_counts() -> None:
    assert complaints(LOAD, 100, ("kafka",), after(500), after(1500)) == []


def test_what_was_not_answered_in_time_may_have_been_taken_but_not_more() -> None:
    late = replace(LOAD, errors={LATE: 2})
    assert complaints(late, 100, ("kafka",), BEFORE, after(1200)) == []
    assert complaints(late, 100, ("kafka",), BEFORE, after(1201)) != []
    assert complaints(late, 100, ("kafka",), BEFORE, after(999)) != []


def test_what_was_stored_is_as_good_as_delivered() -> None:
    assert complaints(replace(LOAD, statuses={"202": 10}), 100, ("kafka",), BEFORE, after(1000)) == []


def test_an_answer_other_than_200_is_a_complaint_that_shows_it() -> None:
    refused = replace(LOAD, statuses={"200": 10, "503": 1}, sample='{"code":"busy"}')
    assert complaints(refused, 100, ("kafka",), BEFORE, after(1000)) == ['1 answers 503: {"code":"busy"}']


def test_a_broken_connection_an_unknown_call_and_silence_are_complaints() -> None:
    broken = replace(LOAD, errors={"connection reset by peer": 3}, requests=0)
    told = complaints(broken, 100, ("kafka",), BEFORE, after(1000, unknown=1))
    assert told == [
        "3 times: connection reset by peer",
        "nothing was answered",
        "kafka did not understand 1 calls",
    ]


def test_a_run_is_void_when_the_load_is_at_its_limit_or_others_had_the_core() -> None:
    assert RUN.void == []
    assert replace(RUN, load_core=0.91).void == ["the load's core was 91% busy"]
    assert replace(RUN, strangers=0.06).void == ["others took 6% of the service's core"]


@pytest.mark.parametrize("disturbed", [0, 1, AGAIN, AGAIN + 1])
def test_a_disturbed_run_is_run_again_but_not_for_ever(disturbed: int) -> None:
    runs = [*[replace(RUN, strangers=0.5)] * disturbed, *[RUN] * (AGAIN + 1)]
    found = undisturbed(lambda: runs.pop(0), lambda run: run.void)
    assert bool(found.void) == (disturbed > AGAIN)
    assert len(runs) == max(disturbed, AGAIN)
