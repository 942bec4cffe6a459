"""What one of several workers may take, and what the configuration must leave each of them."""

from pathlib import Path

import pytest

from service.config import Config, load
from service.config.load import again
from service.config.share import share
from service.errors import ConfigError
from service.sinks.kinesis import Kinesis
from tests.unit.written import mistakes, write

WHOLE = """
server: {memory: 300MiB, max_requests: 1000, max_connections: 9000, workers: 3}
sinks:
  a: {type: memory, memory: 30MiB, concurrency: 12, concurrency_floor: 2}
  b: {type: memory}
  s: {type: kinesis, stream: s, region: eu-west-1, shard_events_per_second: 900, shard_bytes_per_second: 600KB}
  u: {type: kinesis, stream: u, region: eu-west-1, shard_events_per_second: 0, shard_bytes_per_second: 0}
routes: {orders: {to: [a, b, s, u]}}
"""


def whole(folder: Path, text: str = WHOLE) -> Config:
    return load(write(folder, text), {})


def test_the_budgets_of_the_service_are_divided(tmp_path: Path) -> None:
    config = whole(tmp_path)
    part = share(config, 3)
    assert part.server.memory == 100 * 2**20
    assert (part.server.max_requests, part.server.max_connections) == (333, 3000)
    for derived in ("lane_memory", "head_memory", "body_memory"):
        assert getattr(part.server, derived) * 3 == pytest.approx(getattr(config.server, derived), abs=3), derived
    a = part.sinks["a"]
    assert (a.memory, a.concurrency, a.concurrency_floor) == (10 * 2**20, 4, 1)
    for name, sink in config.sinks.items():
        assert part.sinks[name].memory == sink.memory // 3
    assert sum(sink.memory for sink in part.sinks.values()) <= part.server.lane_memory


def test_a_shard_gets_from_all_workers_what_the_sink_allows(tmp_path: Path) -> None:
    part = share(whole(tmp_path), 3)
    paced, free = part.sinks["s"], part.sinks["u"]
    assert isinstance(paced, Kinesis.Config)
    assert (paced.shard_events_per_second, paced.shard_bytes_per_second) == (300, 200_000)
    assert isinstance(free, Kinesis.Config)
    assert (free.shard_events_per_second, free.shard_bytes_per_second) == (0, 0), "no bound is none in parts"


def test_a_bound_never_becomes_none_by_division(tmp_path: Path) -> None:
    text = WHOLE.replace("600KB", "2").replace("max_requests: 1000", "max_requests: 1").replace("12", "2")
    part = share(whole(tmp_path, text), 3)
    assert part.server.max_requests == 1
    assert part.sinks["a"].concurrency == 1
    paced = part.sinks["s"]
    assert isinstance(paced, Kinesis.Config)
    assert paced.shard_bytes_per_second == 1


def test_everything_else_each_worker_has_in_full(tmp_path: Path) -> None:
    config = whole(tmp_path)
    part = share(config, 3)
    assert (part.routes, part.max_event, part.admin) == (config.routes, config.max_event, config.admin)
    divided = {"memory", "max_requests", "max_connections"}
    assert part.server.model_dump(exclude=divided) == config.server.model_dump(exclude=divided)


def test_a_worker_reads_the_same_configuration_from_what_its_supervisor_read(tmp_path: Path) -> None:
    path = write(tmp_path, "sinks: {lake: {type: file, path: data}}\nroutes: {orders: {to: [lake]}}\n")
    config = load(path, {"PENSTOCK__SERVER__MAX_EVENTS": "7"})
    path.write_text("changed meanwhile")
    assert again(config.tree, config.origin) == config


def test_a_tree_that_is_not_sound_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"routes: there must be at least one route"):
        again({"sinks": {"a": {"type": "memory"}}}, tmp_path / "penstock.yaml")


@pytest.mark.parametrize(
    ("server", "sink", "message"),
    [
        ("workers: 4, memory: 100MiB", "", "server.workers: 4 workers need 32MiB each, and memory is 100MiB: raise it"),
        ("workers: 4", "memory: 128KiB", "sinks.a.memory: 4 workers need 64KiB each: at least 256KiB"),
    ],
)
def test_each_worker_must_get_enough(tmp_path: Path, server: str, sink: str, message: str) -> None:
    text = f"server: {{{server}}}\nsinks: {{a: {{type: memory, {sink}}}}}\nroutes: {{orders: {{to: [a]}}}}\n"
    (found,) = mistakes(tmp_path, text)
    assert message in found


def test_what_a_source_may_hold_and_know_is_divided(tmp_path: Path) -> None:
    source = "type: sqs, queue: q, region: eu-west-1, route: orders, memory: 30MiB, dedupe: {most: 3000}"
    text = WHOLE.replace("to: [a, b, s, u]", "to: [a], dead_letter: b") + f"sources: {{in: {{{source}}}}}\n"
    source_of_one = share(whole(tmp_path, text), 3).sources["in"]
    assert source_of_one.memory == 10 * 2**20
    assert source_of_one.dedupe is not None
    assert source_of_one.dedupe.most == 1000


def test_quotas_are_divided(tmp_path: Path) -> None:
    text = (
        WHOLE
        + """
quotas:
  principals: {"*": {events_per_second: 2, burst: 9s, routes: {orders: {bytes_per_second: 2}}}}
  routes: {orders: {bytes_per_second: 9KiB}}
"""
    )
    part = share(whole(tmp_path, text), 3).quotas
    each = part.principals["*"]
    assert each.events_per_second == pytest.approx(2 / 3)
    assert (each.bytes_per_second, each.burst) == (None, 9)
    assert each.routes["orders"].bytes_per_second == 1, "no bound becomes none"
    assert part.routes["orders"].bytes_per_second == 3 * 1024
