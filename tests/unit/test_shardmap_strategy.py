"""Whether a stream spreads records itself: asked where it matters, and no more often than needed."""

import asyncio

from tests.unit.test_shardmap import Client, Mapped, simulated


def test_the_strategy_is_asked_for_once_and_again_when_a_look_up_finds_nothing_new() -> None:
    async def main() -> None:
        client = Client()
        async with Mapped(client, describes=True) as known:
            await asyncio.sleep(60)
            assert known.automatic is False
            client.shards.split()
            known.doubt()
            await asyncio.sleep(60)
            assert len(client.times("DescribeStreamSummary")) == 1
            client.summary = {"RecordDistributionStrategy": "AUTO"}
            known.doubt()
            await asyncio.sleep(60)
            assert known.automatic is True
            assert len(client.times("DescribeStreamSummary")) == 2

    simulated(main())


def test_nobody_asks_for_a_strategy_that_does_not_matter() -> None:
    async def main() -> None:
        client = Client()
        async with Mapped(client):
            await asyncio.sleep(60)
        assert client.times("DescribeStreamSummary") == []

    simulated(main())
