"""How evenly connections are spread over processes: `python -m bench.spread`, about a minute. For decision 023.

Processes that answer each request after 0.1 ms of work listen at one address, either on one socket that all inherit or
each on a socket of its own (SO_REUSEPORT). Clients keep their connections, opened all at once or one after the other.
Shown is the largest share as a multiple of the mean, the median and the worst of the rounds: where it is 1.25 one
process is full while the others are at four fifths at most.
"""

import asyncio
import multiprocessing
import os
import socket
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.synchronize import Event
from statistics import median
from typing import cast

import uvloop

PROCESSES = (2, 4)
CONNECTIONS = ((16, 0.0), (64, 0.0), (64, 0.01), (512, 0.0), (512, 0.001))
"""How many, and the seconds between one and the next."""
ROUNDS = 5
SECONDS = 0.3
"""How long each sends."""
WORK_LOOPS = 3000


class Answering(asyncio.Protocol):
    """Answers whatever comes with the id of its process."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.WriteTransport, transport)  # uvloop's is one without saying so

    def data_received(self, data: bytes) -> None:
        del data
        sum(range(WORK_LOOPS))
        self._transport.write(b"%d\n" % os.getpid())


def serve(listener: socket.socket, ready: Event) -> None:
    """Run in a process of its own until it is killed."""

    async def forever() -> None:
        await asyncio.get_running_loop().create_server(Answering, sock=listener, backlog=2048)
        ready.set()
        await asyncio.Event().wait()

    uvloop.run(forever())


@contextmanager
def listening(processes: int, shared: bool) -> Iterator[int]:
    """The port of so many processes, until the block ends."""
    context = multiprocessing.get_context("fork")
    first = _bound(0)
    port = first.getsockname()[1]
    sockets = [first] * processes if shared else [first, *(_bound(port) for _ in range(processes - 1))]
    events = [context.Event() for _ in sockets]
    started = [context.Process(target=serve, args=each) for each in zip(sockets, events, strict=True)]
    for process, ready in zip(started, events, strict=True):
        process.start()
        ready.wait()
    for listener in set(sockets):
        listener.close()
    try:
        yield port
    finally:
        for process in started:
            process.kill()
            process.join()


def _bound(port: int) -> socket.socket:
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    listener.bind(("127.0.0.1", port))
    return listener


async def connected(port: int, count: int, gap: float) -> Counter[bytes]:
    """By process, how many of so many connections it got."""
    got = Counter[bytes]()

    async def client(delay: float) -> None:
        await asyncio.sleep(delay)
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        until = asyncio.get_running_loop().time() + SECONDS + count * gap - delay
        answer = b""
        while asyncio.get_running_loop().time() < until:
            writer.write(b"?")
            answer = await reader.readline()
        got[answer] += 1
        writer.close()

    await asyncio.gather(*(client(number * gap) for number in range(count)))
    return got


def main() -> None:
    """Print the table."""
    print("processes  connections  apart, ms  one socket: median, worst  SO_REUSEPORT: median, worst")
    for processes in PROCESSES:
        for count, gap in CONNECTIONS:
            columns = []
            for shared in (True, False):
                shares = []
                for _ in range(ROUNDS):
                    with listening(processes, shared) as port:
                        got = uvloop.run(connected(port, count, gap))
                    shares.append(max(got.values()) * processes / count)
                columns.append(f"{median(shares):.2f}, {max(shares):.2f}")
            print(f"{processes:9}  {count:11}  {gap * 1000:9.0f}  {columns[0]:>25}  {columns[1]:>27}", flush=True)


if __name__ == "__main__":
    main()
