"""The journal's file against a model of plain sets, through commits, new and gone sinks, and reopening after each."""

from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from service.journal.reader import Reader, Row, reading
from service.journal.state import Append
from service.journal.store import Store

Shape = dict[str, dict[str, bool]]
SHAPES = st.dictionaries(
    st.sampled_from(["r", "s"]),
    st.dictionaries(st.sampled_from(["a", "b", "c"]), st.booleans(), min_size=1),
    min_size=1,
)


class Stored(RuleBasedStateMachine):
    """One file."""

    def __init__(self) -> None:
        super().__init__()
        self._folder = TemporaryDirectory()
        self.path = Path(self._folder.name, "journal.db")
        self.store = Store.open(self.path)
        self.legs: dict[str, dict[str, set[int]]] = {}
        """What each has settled, by route and sink."""
        self.required: dict[tuple[str, str], bool] = {}
        self.last: dict[str, int] = {}
        self.rows: dict[str, dict[int, int]] = {}
        """The last position of each row by its first."""

    def teardown(self) -> None:
        self.store.close()
        self._folder.cleanup()

    @rule(shape=SHAPES)
    def arrange(self, shape: Shape) -> None:
        self.store.arrange(shape)
        for route, sinks in shape.items():
            legs = self.legs.setdefault(route, {})
            last = self.last.setdefault(route, 0)
            self.rows.setdefault(route, {})
            for sink, required in sinks.items():
                legs.setdefault(sink, set(range(1, last + 1)))
                self.required[route, sink] = required
        for route in list(self.legs):
            for sink in list(self.legs[route]):
                if sink not in shape.get(route, {}) and self._settled_all(route, sink):
                    del self.legs[route][sink]
            if route not in shape and not self.legs[route]:
                del self.legs[route], self.last[route], self.rows[route]
        orphans = {
            (route, sink): self.last[route] - len(done)
            for route, legs in self.legs.items()
            for sink, done in legs.items()
            if sink not in shape.get(route, {})
        }
        assert self.store.orphans(shape) == orphans

    @rule(data=st.data())
    def commit(self, data: st.DataObject) -> None:
        appends: list[Append] = []
        settled: dict[int, list[tuple[int, int]]] = {}
        for route, legs in self.legs.items():
            stream = self.store.streams[route]
            for sink, done in legs.items():
                for first in data.draw(st.lists(st.integers(1, max(1, self.last[route])), max_size=3)):
                    last = min(self.last[route], first + data.draw(st.integers(0, 6)))
                    if first <= last:
                        settled.setdefault(stream.legs[sink].id, []).append((first, last))
                        done.update(range(first, last + 1))
            for _ in range(data.draw(st.integers(0, 3))):
                events, gap = data.draw(st.integers(1, 5)), data.draw(st.integers(0, 1))
                first = self.last[route] + 1 + gap
                appends.append(Append(stream.id, Row(first, events, float(first), b"%d" % first)))
                self.rows[route][first] = self.last[route] = first + events - 1
        self.store.commit(appends, settled)
        for route, legs in self.legs.items():
            everybody = set.intersection(*legs.values())
            for first, last in list(self.rows[route].items()):
                if everybody.issuperset(range(first, last + 1)):
                    del self.rows[route][first]

    @rule()
    def reopen(self) -> None:
        self.store.close()
        self.store = Store.open(self.path)

    def _settled_all(self, route: str, sink: str) -> bool:
        return len(self.legs[route][sink]) == self.last[route]

    @invariant()
    def it_is_what_the_model_says(self) -> None:
        self._compare(self.store)

    @invariant()
    def another_look_at_the_file_says_the_same(self) -> None:
        self.store.close()
        self.store = Store.open(self.path)
        self._compare(self.store)

    def _compare(self, store: Store) -> None:
        assert set(store.streams) == set(self.legs)
        for route, stream in store.streams.items():
            legs = self.legs[route]
            assert set(stream.legs) == set(legs)
            for sink, leg in stream.legs.items():
                assert {each for each in range(1, self.last[route] + 1) if each in leg.settled} == legs[sink]
                assert stream.waiting_at(leg) == self.last[route] - len(legs[sink])
                assert leg.required == self.required[route, sink]
            assert stream.last == self.last[route]
            everybody = set.intersection(*legs.values())
            assert stream.waiting == self.last[route] - len(everybody)
            must = [done for sink, done in legs.items() if self.required[route, sink]]
            optional = len(set.intersection(*must)) - len(everybody) if 0 < len(must) < len(legs) else 0
            if must:
                assert stream.waiting_for_optional() == optional
            with closing(reading(self.path)) as file:
                for leg in stream.legs.values():
                    [(ranges,)] = file.execute("SELECT count(*) FROM settled WHERE leg = ?", (leg.id,))
                    assert ranges == len(leg.settled)
            reader = Reader(self.path)
            found = {row.first: row.last for row in reader.rows(stream.id, 1, 2**30)}
            reader.close()
            assert found == self.rows[route]
            assert all(row == last for row, last in zip(found.values(), self.rows[route].values(), strict=True))


Stored.TestCase.settings = settings(max_examples=40, stateful_step_count=15, deadline=None)
test_the_file_is_what_plain_sets_say = Stored.TestCase
