"""What CloudWatch is told of two moments: nothing is lost between them, counted twice, or told of what goes on."""

import random
from collections import Counter, defaultdict
from copy import deepcopy

from hypothesis import given
from hypothesis import strategies as st

from service.cloudwatch.datum import Datum, difference
from service.cloudwatch.names import METRICS, By, Kind
from service.cloudwatch.totals import Series, Totals, read, unaccounted
from service.telemetry.snapshot import Snapshot, summed
from tests.unit.counted import MOMENT, empty, everywhere, work

Bucket = tuple[Series, float]
ENDED = (
    "UserRecordsPut",
    "EventsDeadLettered",
    "EventsRejectedBySink",
    "EventsGivenBack",
    "EventsDropped",
    "EventsDiverted",
)


class Told:
    """What CloudWatch has of all that it was told."""

    def __init__(self) -> None:
        self.sums = defaultdict[Series, float](float)
        self.buckets = Counter[Bucket]()
        self.levels: dict[Series, float] = {}

    def hear(self, data: list[Datum]) -> None:
        for datum in data:
            series = (datum.metric.name, datum.of)
            match datum.metric.kind:
                case Kind.COUNT:
                    self.sums[series] += datum.values[0]
                case Kind.LEVEL:
                    self.levels[series] = datum.values[0]
                case Kind.SPREAD:
                    for value, count in zip(datum.values, datum.counts, strict=True):
                        self.buckets[series, value] += count


def all_at_once(totals: Totals) -> Told:
    told = Told()
    told.hear(difference(totals))
    return told


@given(st.randoms(use_true_random=False), st.lists(st.integers(0, 40), min_size=1, max_size=12))
def test_the_differences_of_a_life_sum_up_to_its_totals(rng: random.Random, steps: list[int]) -> None:
    snapshot, told, before = empty(), Told(), None
    for events in steps:
        work(snapshot, rng, events)
        now = read(snapshot, MOMENT)
        told.hear(difference(now, before))
        before = now
    whole = all_at_once(read(snapshot, MOMENT))
    assert {series: value for series, value in told.sums.items() if value} == whole.sums
    assert told.buckets == whole.buckets
    lasting = {name: told.levels[name] for name in told.levels if name[0] != "UserRecordsPerKinesisRecord"}
    assert lasting == {name: whole.levels[name] for name in lasting}


@given(st.randoms(use_true_random=False), st.integers(1, 6), st.integers(0, 5))
def test_a_worker_that_dies_loses_and_doubles_nothing(rng: random.Random, steps: int, dies_at: int) -> None:
    first, second = empty(), empty()
    parts, told, before = [first, second], Told(), None
    for step in range(steps):
        for part in (first, second):
            work(part, rng, 20)
        if step == dies_at:
            first.close(lambda sink, route: ("expired", "worker_lost"))
            first, ended = empty(), first
            parts = [ended, first, second]
        now = read(summed("serving", parts), MOMENT)
        told.hear(difference(now, before))
        before = now
        assert told.levels["EventsUnaccounted", ""] == 0
    whole = all_at_once(read(summed("serving", parts), MOMENT))
    assert {series: value for series, value in told.sums.items() if value} == whole.sums
    assert told.buckets == whole.buckets


@given(st.randoms(use_true_random=False), st.integers(0, 60))
def test_the_sums_obey_the_equation_of_the_books(rng: random.Random, events: int) -> None:
    snapshot, told, before = empty(), Told(), None
    for _ in range(3):
        work(snapshot, rng, events)
        now = read(snapshot, MOMENT)
        told.hear(difference(now, before))
        before = now
    for sink in ("lake", "stream"):
        settled = sum(told.sums[name, sink] for name in ENDED)
        assert told.sums["UserRecordsReceived", sink] == settled + told.levels["UserRecordsPending", sink]


def test_every_metric_there_is_is_told_and_no_other() -> None:
    told = {(datum.metric.name, bool(datum.of)) for datum in difference(read(everywhere(), MOMENT))}
    assert told == {(metric.name, metric.by is not By.SERVICE) for metric in METRICS}


def test_a_process_that_did_nothing_tells_its_levels_alone() -> None:
    assert {datum.metric.kind for datum in difference(read(empty(), MOMENT))} == {Kind.LEVEL}


def test_a_count_that_was_once_other_than_0_is_told_as_0_too() -> None:
    snapshot = everywhere()
    before = read(snapshot, MOMENT)
    counts = [datum for datum in difference(read(snapshot, MOMENT), before) if datum.metric.kind is Kind.COUNT]
    assert {datum.values for datum in counts} == {(0,)}
    assert {datum.metric.name for datum in counts} == {metric.name for metric in METRICS if metric.kind is Kind.COUNT}
    assert not [each for each in difference(read(snapshot, MOMENT), before) if each.metric.kind is Kind.SPREAD]


def test_totals_are_not_what_goes_on_counting() -> None:
    snapshot = everywhere()
    totals = read(snapshot, MOMENT)
    kept = deepcopy(totals)
    work(snapshot, random.Random(1), 100)
    assert totals == kept
    assert read(snapshot, MOMENT) != kept


def test_times_are_in_milliseconds_and_what_has_no_bound_is_told_as_the_last() -> None:
    snapshot = empty()
    work(snapshot, random.Random(1), 1)
    times = snapshot.meter.lanes["lake"]
    times.call_seconds = type(times.call_seconds)(times.call_seconds.bounds)
    for seconds in (0.0001, 0.0003, 0.0003, 99.0, 101.0):
        times.call_seconds.observe(seconds)
    [found] = [
        each for each in difference(read(snapshot, MOMENT)) if (each.metric.name, each.of) == ("RequestTime", "lake")
    ]
    assert (found.values, found.counts) == ((0.2, 0.315, 100_000.0), (1, 2, 2))


def test_levels_are_what_they_are_at_the_moment() -> None:
    snapshot = everywhere()
    told = all_at_once(read(snapshot, MOMENT)).levels
    assert told["LaneFullness", "lake"] == 25
    assert told["OldestEventAge", "lake"] == 1.5
    assert told["BreakerOpen", "lake"] == 0
    assert told["ConsumerLag", "msk"] == 9
    assert (told["JournalFullness", ""], told["JournalOldestAge", ""]) == (10, 7)
    assert told["UserRecordsPerKinesisRecord", "stream"] == 10


def test_the_time_left_is_that_of_the_port_whose_certificate_ends_first() -> None:
    left = ("CertificateTimeLeft", "")
    first, second = empty(), empty()
    first.meter.tls_expiry = {"server": MOMENT + 90.0, "admin": MOMENT + 60.0}
    second.meter.tls_expiry = {"server": MOMENT + 30.0}
    assert read(first, MOMENT).levels[left] == 60
    assert read(summed("serving", [first, second]), MOMENT).levels[left] == 30
    assert read(first, MOMENT + 61).levels[left] == 0, "no time is left of one that has ended"


def test_of_a_service_without_tls_no_time_left_is_told() -> None:
    snapshot = empty()
    snapshot.meter.tls_expiry = {}
    assert "CertificateTimeLeft" not in {datum.metric.name for datum in difference(read(snapshot, MOMENT))}


def test_keys_of_each_kind_that_could_not_be_read_are_counted_together() -> None:
    snapshot = empty()
    snapshot.meter.auth_refresh_failures["keys"] = 2
    snapshot.meter.auth_refresh_failures["jwt"] = 3
    assert all_at_once(read(snapshot, MOMENT)).sums == {("AuthRefreshFailures", ""): 5}


def test_what_found_no_route_has_a_name_that_no_route_has() -> None:
    snapshot = empty()
    snapshot.meter.edge_received["http", ""] = 3
    assert all_at_once(read(snapshot, MOMENT)).sums == {("EventsReceived", "(none)"): 3}


def test_only_a_lack_of_room_is_told_as_busy() -> None:
    snapshot: Snapshot = empty()
    snapshot.meter.edge_rejected["http", "orders", "busy"] = 3
    snapshot.meter.edge_rejected["http", "orders", "draining"] = 4
    assert all_at_once(read(snapshot, MOMENT)).sums == {
        ("EventsRefusedBusy", "orders"): 3,
        ("EventsRejected", "orders"): 4,
    }


def test_each_lane_and_route_is_held_to_its_own_books() -> None:
    snapshot = everywhere()
    assert unaccounted(snapshot.meter) == 0
    snapshot.meter.lane_received["lake", "orders"] += 2
    snapshot.meter.lane_held["stream", "orders"] += 3
    assert unaccounted(snapshot.meter) == 5, "what is missing here does not make up for what is too much there"
    assert all_at_once(read(snapshot, MOMENT)).levels["EventsUnaccounted", ""] == 5


def test_what_was_to_be_stored_and_is_not_is_unaccounted_too() -> None:
    snapshot = empty()
    snapshot.meter.edge_received["http", "kept"] = 9
    snapshot.meter.edge_rejected["http", "kept", "busy"] = 2
    snapshot.meter.journal_stored["kept"] = 4
    snapshot.meter.journal_queued["kept"] = 3
    assert unaccounted(snapshot.meter) == 0
    snapshot.meter.journal_queued["kept"] = 1
    assert unaccounted(snapshot.meter) == 2
