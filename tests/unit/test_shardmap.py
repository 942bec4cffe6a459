"""The shard map: what it predicts, and when it looks up. Time is simulated; the client is a scripted fake of AWS's."""

import asyncio
import hashlib
import random
from collections.abc import Coroutine
from typing import Any

import pytest
from botocore.exceptions import ClientError
from hypothesis import given
from hypothesis import strategies as st

from service.aws.shardmap import APART_SECONDS, MOST_SECONDS, SPREAD_SECONDS, ShardMap, Unknown, hash_key
from service.outcome import Reason
from tests.contract.fake_shards import LAST, FakeShards
from tests.flow.simulated import run

ARN = "arn:aws:kinesis:eu-west-1:123456789012:stream/orders"


class Client:
    """Two calls of AWS's client, over fake shards. Keeps when each was made (loop time) and how."""

    def __init__(self) -> None:
        self.shards = FakeShards()
        self.calls: list[tuple[float, str, dict[str, Any]]] = []
        self.refusals: list[str] = []
        """Codes with which the next calls of ListShards fail."""
        self.answer: dict[str, Any] | None = None
        """What ListShards answers instead."""
        self.summary: dict[str, Any] = {}
        self.asked = asyncio.Event()
        self.at_once = self.most_at_once = 0

    async def list_shards(self, **params: Any) -> dict[str, Any]:
        self._called("ListShards", params)
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        await asyncio.sleep(0.01)
        self.at_once -= 1
        if self.refusals:
            raise ClientError({"Error": {"Code": self.refusals.pop(0)}}, "ListShards")
        return self.answer or self.shards.listed(params)

    async def describe_stream_summary(self, **params: Any) -> dict[str, Any]:
        self._called("DescribeStreamSummary", params)
        return {"StreamDescriptionSummary": self.summary}

    def _called(self, operation: str, params: dict[str, Any]) -> None:
        self.calls.append((asyncio.get_running_loop().time(), operation, params))

    def times(self, operation: str = "ListShards") -> list[float]:
        return [moment for moment, name, _ in self.calls if name == operation]


class Mapped:
    """A map over a client, started and stopped."""

    def __init__(self, client: Client, target: dict[str, str] | None = None, describes: bool = False) -> None:
        self.client = client
        self.changes: list[int] = []
        self.map = ShardMap(
            "orders", target or {"StreamName": "orders"}, self._changed, describes=describes, rng=random.Random(1)
        )

    def _changed(self) -> None:
        self.changes.append(self.map.generation)

    async def __aenter__(self) -> ShardMap:
        self.map.start(self.client)
        return self.map

    async def __aexit__(self, *_: object) -> None:
        await self.map.stop()


def simulated(main: Coroutine[Any, Any, None]) -> None:
    run(main)


@given(key=st.text(st.characters(exclude_categories=["Cs"])))
def test_a_hash_key_is_the_md5_of_the_key_as_a_big_endian_number(key: str) -> None:
    assert hash_key(key) == int(hashlib.md5(key.encode()).hexdigest(), 16)


def test_every_hash_key_goes_to_the_shard_whose_range_holds_it() -> None:
    async def main() -> None:
        client = Client()
        client.shards.split(into=3)
        client.shards.split(into=4)
        client.shards.page = 5
        async with Mapped(client) as known:
            await known.look_up()
            for shard in client.shards.open:
                for hashed in (shard.first, shard.last, (shard.first + shard.last) // 2):
                    assert known.number(hashed) == shard.number
                    assert known.predicts(hashed, shard.id)
                assert not known.predicts((shard.last + 1) % (LAST + 1), shard.id)

    simulated(main())


def test_until_the_shards_are_known_everything_is_in_the_first() -> None:
    client_map = ShardMap("orders", {"StreamName": "orders"}, lambda: None)
    assert not client_map.known
    assert (client_map.generation, client_map.number(LAST)) == (0, 0)


def test_the_shards_are_learnt_in_the_background_within_a_second() -> None:
    async def main() -> None:
        client = Client()
        mapped = Mapped(client)
        began = asyncio.get_running_loop().time()
        async with mapped as known:
            assert not client.calls
            await asyncio.sleep(SPREAD_SECONDS + 0.1)
            assert known.known
        assert mapped.changes == [1]
        [moment] = client.times()
        assert 0 < moment - began <= SPREAD_SECONDS

    simulated(main())


@pytest.mark.parametrize("target", [{"StreamName": "orders"}, {"StreamARN": ARN}], ids=lambda each: next(iter(each)))
def test_a_later_page_is_asked_for_by_its_token_and_without_a_name(target: dict[str, str]) -> None:
    async def main() -> None:
        client = Client()
        client.shards.split(into=5)
        client.shards.page = 2
        async with Mapped(client, target) as known:
            await known.look_up()
        first, second, third = (params for _, _, params in client.calls)
        beside = {name: value for name, value in target.items() if name == "StreamARN"}
        assert first == {**target, "ShardFilter": {"Type": "AT_LATEST"}}
        assert [second, third] == [{**beside, "NextToken": f"AT_LATEST/{start}"} for start in (2, 4)]

    simulated(main())


def test_a_doubted_map_is_looked_up_once_and_its_change_is_told() -> None:
    async def main() -> None:
        client = Client()
        mapped = Mapped(client)
        async with mapped as known:
            await asyncio.sleep(60)
            client.shards.split()
            for _ in range(1000):
                known.doubt()
            await asyncio.sleep(60)
            assert known.number(LAST) == 2
        assert mapped.changes == [1, 2]
        assert len(client.times()) == 2

    simulated(main())


def test_look_ups_keep_their_distance_which_grows_while_they_find_nothing_new() -> None:
    async def main() -> None:
        client = Client()
        async with Mapped(client) as known:
            for _ in range(36_000):
                known.doubt()
                await asyncio.sleep(0.1)
            apart = [later - earlier for earlier, later in zip(client.times(), client.times()[1:], strict=False)]
            assert min(apart) >= APART_SECONDS
            assert apart[:7] == sorted(apart[:7])
            assert max(apart) <= MOST_SECONDS * 1.5 + SPREAD_SECONDS + 1
            assert len(apart) < 25
            client.shards.split()
            await asyncio.sleep(MOST_SECONDS * 2)
            assert known.generation == 2
            asked = len(client.times())
            client.shards.merge()
            known.doubt()
            await asyncio.sleep(APART_SECONDS)
            assert len(client.times()) == asked + 1

    simulated(main())


def test_failures_are_tried_again_ever_later_and_warned_of_once(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        client = Client()
        client.refusals = ["LimitExceededException"] * 6
        async with Mapped(client) as known:
            await asyncio.sleep(200)
            assert known.known
        apart = [later - earlier for earlier, later in zip(client.times(), client.times()[1:], strict=False)]
        assert len(apart) == 6
        assert apart == sorted(apart)
        assert apart[0] >= 1
        assert apart[-1] >= 32

    simulated(main())
    warnings = [record for record in caplog.records if record.levelname == "WARNING"]
    assert [(record.__dict__["action"], record.__dict__["reason"]) for record in warnings] == [
        ("kinesis:ListShards", "throttled")
    ]


def test_a_failed_look_up_leaves_the_map_as_it_was() -> None:
    async def main() -> None:
        client = Client()
        async with Mapped(client) as known:
            await known.look_up()
            client.refusals = ["AccessDeniedException"]
            with pytest.raises(Unknown) as caught:
                await known.look_up()
            assert (caught.value.action, caught.value.retry.reason) == ("kinesis:ListShards", Reason.ACCESS_DENIED)
            assert known.generation == 1

    simulated(main())


_SHARD = {"ShardId": "shardId-000000000000", "HashKeyRange": {"StartingHashKey": "0", "EndingHashKey": str(LAST)}}


@pytest.mark.parametrize(
    "answer",
    [
        {"NoShards": []},
        {"Shards": []},
        {"Shards": [{"ShardId": "shardId-000000000000"}]},
        {"Shards": [_SHARD | {"ShardId": "first"}]},
        {"Shards": [_SHARD | {"HashKeyRange": {"StartingHashKey": "7", "EndingHashKey": str(LAST)}}]},
        {"Shards": [_SHARD, _SHARD | {"ShardId": "shardId-000000000001"}]},
        {"Shards": [_SHARD | {"SequenceNumberRange": {"EndingSequenceNumber": "9"}}]},
    ],
    ids=["nothing", "none", "no range", "no number", "a gap", "a parent beside its child", "closed"],
)
def test_shards_that_make_no_stream_are_not_taken(answer: dict[str, Any]) -> None:
    async def main() -> None:
        client = Client()
        client.answer = answer
        async with Mapped(client) as known:
            with pytest.raises(Unknown) as caught:
                await known.look_up()
            assert caught.value.retry.reason is Reason.BAD_ANSWER
            assert not known.known

    simulated(main())


def test_there_is_one_look_up_at_a_time() -> None:
    async def main() -> None:
        client = Client()
        async with Mapped(client) as known:
            await asyncio.gather(*(known.look_up() for _ in range(5)))
        assert client.most_at_once == 1

    simulated(main())


def test_a_look_up_that_waited_for_another_has_its_answer() -> None:
    async def main() -> None:
        client = Client()
        mapped = Mapped(client)
        async with mapped as known:
            due = random.Random(1).uniform(0, SPREAD_SECONDS)
            await asyncio.sleep(due - 0.005)
            await known.look_up()
            await asyncio.sleep(10)
        assert len(client.times()) == 1

    simulated(main())


def test_stopping_ends_a_look_up_under_way() -> None:
    async def main() -> None:
        client = Client()
        async with Mapped(client):
            while not client.at_once:
                await asyncio.sleep(0.001)
        assert asyncio.all_tasks() == {asyncio.current_task()}

    simulated(main())
