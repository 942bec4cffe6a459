"""`python -m deploy.local.faultproxy [--upstream URL] [--seed N]`: prints `{"endpoint": URL}`; ends on SIGTERM."""

import argparse
import asyncio
import json
import signal

import uvloop

from deploy.local.faultproxy.server import FaultProxy


async def _serve(upstream: str | None, seed: int) -> None:
    told = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, told.set)
    async with FaultProxy(upstream, seed) as proxy:
        print(json.dumps({"endpoint": proxy.url}), flush=True)
        await told.wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m deploy.local.faultproxy", description=__doc__)
    parser.add_argument("--upstream", help="endpoint of the emulator; without it the proxy answers by itself")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    uvloop.run(_serve(options.upstream, options.seed))
