"""`python -m bench.tls`: what TLS costs the service, in CPU and in memory.

Two services, with and without, of one configuration: the requests go to them in turns, over connections that stay open.
CPU is the service's own, so the generator may share the machine. Certificates are of ECDSA P-256 and made anew.
"""

import argparse
import asyncio
import os
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Final

import uvloop
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from bench import bodies
from deploy.local.child import Child, leashed
from deploy.local.emulator import isolated

CONNECTIONS: Final = 16
TICKS: Final = os.sysconf("SC_CLK_TCK")
SINGLE: Final = bodies.event(1)
BATCH: Final = b"[" + b",".join([bodies.event(number) for number in range(100)]) + b"]"
LARGE: Final = b"[" + b",".join([bodies.event(number) for number in range(250)]) + b"]"
"""About 220 KiB."""
Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Service:
    """One of both."""

    def __init__(self, child: Child, trust: ssl.SSLContext | None) -> None:
        self.child = child
        self.trust = trust
        self.port = int(child.logged("serving")["address"].rpartition(":")[2])

    async def connect(self) -> Stream:
        """A new connection, after its handshake."""
        return await asyncio.open_connection("127.0.0.1", self.port, ssl=self.trust)

    def cpu_seconds(self) -> float:
        """Of the process until now."""
        fields = Path(f"/proc/{self.child.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def resident_bytes(self) -> int:
        """Of the process now."""
        return int(Path(f"/proc/{self.child.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def request(body: bytes) -> bytes:
    """A request with this body, one CloudEvent or an array of them."""
    kind = "application/cloudevents-batch+json" if body[:1] == b"[" else "application/cloudevents+json"
    head = f"POST /v1/orders HTTP/1.1\r\nHost: bench\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


async def exchange(stream: Stream, data: bytes) -> None:
    """One request and its answer. Raises AssertionError for anything but 200."""
    reader, writer = stream
    writer.write(data)
    head = await reader.readuntil(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 "), head
    await reader.readexactly(int(head.lower().partition(b"content-length: ")[2].partition(b"\r")[0]))


async def requests(service: Service, body: bytes, count: int) -> float:
    """CPU seconds of one of `count` requests with this body."""
    data = request(body)
    streams = [await service.connect() for _ in range(CONNECTIONS)]
    for stream in streams:
        await exchange(stream, data)

    async def send(stream: Stream) -> None:
        for _ in range(count // CONNECTIONS):
            await exchange(stream, data)

    before = service.cpu_seconds()
    await asyncio.gather(*map(send, streams))
    spent = service.cpu_seconds() - before
    for _, writer in streams:
        writer.close()
    return spent / (count // CONNECTIONS * CONNECTIONS)


async def connections(service: Service, count: int) -> float:
    """CPU seconds of one of `count` connections, with one request each."""
    data = request(SINGLE)
    before = service.cpu_seconds()
    for _ in range(count):
        stream = await service.connect()
        await exchange(stream, data)
        stream[1].close()
    return (service.cpu_seconds() - before) / count


async def memory(service: Service, count: int) -> tuple[float, float]:
    """Bytes of each of `count` connections: after one small request, and after a large one."""
    before = service.resident_bytes()
    streams = [await service.connect() for _ in range(count)]
    found = []
    for body in (SINGLE, LARGE):
        data = request(body)
        for stream in streams:
            await exchange(stream, data)
        found.append((service.resident_bytes() - before) / count)
    for _, writer in streams:
        writer.close()
    return found[0], found[1]


@asynccontextmanager
async def both(folder: Path) -> AsyncIterator[tuple[Service, Service]]:
    """A service without TLS, and one with."""
    trust = certificate(folder)
    async with AsyncExitStack() as stack:
        made = []
        for name, tls in (("plain", ""), ("tls", ", tls: {certificate: tls.pem, key: tls.key}")):
            path = folder / f"{name}.yaml"
            times = "load_balancer_idle: 1h, keep_alive: 2h, deregister_delay: 0s"
            path.write_text(
                f"server: {{port: 0, {times}{tls}}}\nadmin: {{port: 0}}\nlogs: {{form: json}}\n"
                'sinks: {out: {type: "bench.taker:Taker"}}\nroutes: {orders: {to: [out]}}\n'
            )
            command = leashed("service.cli", "serve", "--config", path)
            child = stack.enter_context(Child(name, command, folder / f"{name}.log", environment=isolated(os.environ)))
            made.append(await asyncio.to_thread(Service, child, trust if tls else None))
        yield made[0], made[1]


def certificate(folder: Path) -> ssl.SSLContext:
    """Write a certificate and its key; what a client needs that trusts it."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "bench")])
    day = timedelta(days=1)
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now - day, now + day)
    names = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
    pem = builder.add_extension(names, critical=False).sign(key, hashes.SHA256()).public_bytes(Encoding.PEM)
    (folder / "tls.pem").write_bytes(pem)
    (folder / "tls.key").touch(mode=0o600)
    (folder / "tls.key").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return ssl.create_default_context(cadata=pem.decode())


async def measure(rounds: int, scale: float) -> None:
    """Print what is found."""
    parts: Sequence[tuple[str, Callable[[Service], Awaitable[float]]]] = (
        ("one event a request", lambda service: requests(service, SINGLE, int(8_000 * scale))),
        ("100 events a request", lambda service: requests(service, BATCH, int(800 * scale))),
        ("a connection for each event", lambda service: connections(service, int(1_000 * scale))),
    )
    with TemporaryDirectory() as name:
        async with both(Path(name)) as (plain, secure):
            if rounds:
                print("| service's CPU | plain | TLS | ratio |\n|---|---|---|---|")
            for title, part in parts if rounds else ():
                pairs = [(await part(plain), await part(secure)) for _ in range(rounds + 1)][1:]
                bare, told = (median([pair[side] for pair in pairs]) * 1e6 for side in (0, 1))
                # the clock has ticks of 10 ms: of few requests there may be none
                ratio = median([tls / max(without, 1e-9) for without, tls in pairs])
                print(f"| {title} | {bare:.0f} us | {told:.0f} us | {ratio:.2f} |")
            count = max(10, int(1_000 * scale))
            print(f"\n| memory of each of {count} connections | plain | TLS |\n|---|---|---|")
            for title, bare, told in zip(
                ("after a small request", "after one of 220 KiB"),
                await memory(plain, count),
                await memory(secure, count),
                strict=True,
            ):
                print(f"| {title} | {bare / 1024:.1f} KiB | {told / 1024:.1f} KiB |")


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m bench.tls", description="What TLS costs the service.")
    parser.add_argument(
        "--rounds", type=int, default=5, help="pairs of measurements, of which the medians are told; 0: only memory"
    )
    parser.add_argument("--scale", type=float, default=1.0, help="of the number of requests and connections")
    options = parser.parse_args()
    uvloop.run(measure(options.rounds, options.scale))


if __name__ == "__main__":
    main()
