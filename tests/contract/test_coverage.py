"""No sink is left out of the contract, and none loses a fault it used to be tried with."""

from pathlib import Path

import pytest

import service.sinks
from service.plugins import known
from tests.contract.harness import Fault, Harness, discover

BUILT_IN = {
    "file": {Fault.CALL, Fault.REFUSE, Fault.MISSING},
    "firehose": {Fault.PARTIAL, Fault.CALL, Fault.HANG, Fault.WRONG_LENGTH, Fault.REFUSE, Fault.MISSING},
    "kafka": {Fault.PARTIAL, Fault.CALL, Fault.HANG, Fault.REFUSE, Fault.MISSING},
    "kinesis": {Fault.PARTIAL, Fault.CALL, Fault.HANG, Fault.WRONG_LENGTH, Fault.MISSING},
    "memory": {Fault.CALL},
    "sqs": {Fault.PARTIAL, Fault.CALL, Fault.HANG, Fault.WRONG_LENGTH, Fault.REFUSE, Fault.MISSING},
    "stdout": {Fault.CALL, Fault.HANG, Fault.REFUSE},
}
"""What our own destinations can be made to do. A file cannot hang, a stream of bytes gives no list of results."""


def test_every_sink_has_a_harness() -> None:
    covered = {kind.name.partition("-")[0] for kind in discover()}
    assert covered >= set(known("sinks"))


@pytest.mark.parametrize("kind", discover(), ids=lambda kind: kind.name)
def test_a_harness_offers_exactly_the_faults_it_declares(kind: type[Harness]) -> None:
    assert kind.offered() == kind.faults
    assert kind.faults, "a destination that cannot fail proves nothing"


@pytest.mark.parametrize("name", BUILT_IN)
def test_our_own_destinations_fail_in_every_way_they_can(name: str) -> None:
    offered = frozenset[Fault]().union(*(k.faults for k in discover() if k.name.partition("-")[0] == name))
    assert offered == BUILT_IN[name]


def test_all_our_own_sinks_are_listed_here() -> None:
    assert set(BUILT_IN) == set(known("sinks"))
    assert (Path(service.sinks.__path__[0]) / "contract.py").exists()


@pytest.mark.parametrize("kind", discover(), ids=lambda kind: kind.name)
def test_a_harness_stays_small(kind: type[Harness]) -> None:
    path = Path(__file__).parent / f"{kind.__module__.rpartition('.')[2]}.py"
    assert len(path.read_text().splitlines()) <= 60
