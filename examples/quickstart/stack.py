"""The processes of the quickstart: emulator, broker and gateway, started in this order and stopped in the other."""

import os
import socket
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from types import MappingProxyType
from typing import Literal, Self
from urllib.parse import urlsplit

from deploy.local.child import Child, leashed
from deploy.local.emulator import LAB, answers, emulator, isolated
from examples.quickstart.resources import INCOMING, PARTITIONS, TOPIC

LOGS = LAB / "run"
CONFIGURATION = Path(__file__).with_name("penstock.yaml")
Kafka = Literal["mock", "real"]
_BROKERS = {"mock": "mock_cluster", "real": "apache_kafka"}


class PortTakenError(Exception):
    """Another program listens on a port that was asked for."""


class Stack:
    """Everything that runs beside this process; leaving `with` stops all of it."""

    def __init__(self, port: int, admin_port: int, logs: Path = LOGS) -> None:
        self.port = port
        self._logs = logs
        self.admin_port = admin_port
        self.endpoint = ""
        self.emulator: Child | None = None
        self.brokers = ""
        self._children: list[Child] = []
        self._running = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def start_emulator(self, port: int | None = None) -> None:
        """Start the AWS emulator; sets `endpoint` and `emulator`. Raises ChildError."""
        running = emulator(self._logs / "emulator.log", os.environ, port)
        self.emulator, self.endpoint = self._running.enter_context(running)
        self._children.append(self.emulator)

    def start_broker(self, kafka: Kafka) -> None:
        """Start a Kafka broker with the example's topics; sets `brokers`. Raises ChildError."""
        module = f"deploy.local.{_BROKERS[kafka]}"
        command = [sys.executable, "-m", module, "--topics", f"{TOPIC},{INCOMING}", "--partitions", str(PARTITIONS)]
        child = Child("The Kafka broker", command, self._logs / "kafka.log", announces=True)
        self._start(child)
        self.brokers = child.announcement(120)["bootstrap"]

    def start_gateway(self, overrides: Mapping[str, str] = MappingProxyType({})) -> Child:
        """Start Penstock, and wait until both ports say it is ready. A port that was 0 is then the one that the system
        has picked. `overrides`: environment. Raises ChildError."""
        environment = {
            **isolated(os.environ, self.endpoint),
            "KAFKA_BROKERS": self.brokers,
            "PENSTOCK__SERVER__PORT": str(self.port),
            "PENSTOCK__ADMIN__PORT": str(self.admin_port),
            # There is no load balancer here that would have to notice first.
            "PENSTOCK__SERVER__DEREGISTER_DELAY": "0s",
            **overrides,
        }
        command = leashed("service.cli", "serve", "--config", CONFIGURATION)
        child = Child("Penstock", command, self._logs / "service.log", environment, grace_seconds=30)
        self._start(child)
        serving = child.logged("serving")
        self.port, self.admin_port = (urlsplit(serving[each]).port or 0 for each in ("address", "admin"))
        for port in (self.port, self.admin_port):
            url = f"http://127.0.0.1:{port}/readyz"
            child.wait_until(lambda url=url: answers(url))  # type: ignore[misc]
        return child

    def check(self) -> None:
        """Raise ChildError if anything has ended by itself."""
        for child in self._children:
            child.check()

    def kill(self) -> None:
        """End everything at once."""
        for child in self._children:
            child.kill()

    def close(self) -> None:
        """Stop everything in its turn: the gateway first, which delivers what it holds."""
        self._running.close()

    def _start(self, child: Child) -> None:
        self._running.enter_context(child)
        self._children.append(child)


def demand_free(port: int, variable: str) -> None:
    """Raise PortTakenError, saying how to choose another, if `port` cannot be bound on loopback."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise PortTakenError(
                f"Port {port} of 127.0.0.1 cannot be used ({error.strerror}). Choose another: "
                f"make run {variable}={port + 1}"
            ) from None
