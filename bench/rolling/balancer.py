"""haproxy in front of the replicas, in either mode, as docs/operate.md says it must be set."""

import shutil
import socket
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Literal

from deploy.local.child import Child

Mode = Literal["http", "tcp"]

_CONFIGURATION: Final = """
global
  maxconn 4096
  stats socket {folder}/haproxy.sock mode 600
defaults
  mode {mode}
  timeout connect 2s
  timeout client 60s
  timeout server 60s
  retries 0
frontend producers
  bind 127.0.0.1:{port}
  default_backend replicas
backend replicas
  balance {balance}
  option httpchk GET /readyz
  http-check expect status 200
  default-server check inter {every} fall 2 rise 2
{servers}
"""


class Balancer:
    """haproxy, from `with` to its end. It tries nothing twice."""

    def __init__(self, mode: Mode, replicas: Sequence[int], folder: Path, every: str) -> None:
        """`replicas`: their ports. `every`: how often each is asked for its readiness, such as `500ms`."""
        self.port = free_port()
        self._folder = folder
        servers = "\n".join(f"  server replica{number} 127.0.0.1:{port}" for number, port in enumerate(replicas))
        file = folder / "haproxy.cfg"
        file.write_text(
            _CONFIGURATION.format(
                folder=folder,
                mode=mode,
                port=self.port,
                every=every,
                servers=servers,
                balance="roundrobin" if mode == "http" else "leastconn",
            )
        )
        program = shutil.which("haproxy") or shutil.which("haproxy", path="/usr/sbin") or "haproxy"
        self._child = Child("haproxy", [program, "-db", "-f", file], folder / "haproxy.log")

    def __enter__(self) -> "Balancer":
        self._child.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._child.kill()
        self._child.stop()

    def await_state(self, replica: int, state: str, seconds: float = 30.0) -> None:
        """Return once haproxy says that a replica is `UP` or `DOWN`. Raises TimeoutError."""
        deadline = time.monotonic() + seconds
        while self._states().get(f"replica{replica}") != state:
            if time.monotonic() > deadline:
                raise TimeoutError(f"haproxy does not see replica {replica} {state}")
            time.sleep(0.05)

    def _states(self) -> dict[str, str]:
        try:
            with socket.socket(socket.AF_UNIX) as asked:
                asked.connect(str(self._folder / "haproxy.sock"))
                asked.sendall(b"show stat\n")
                told = b"".join(iter(lambda: asked.recv(65536), b""))
        except OSError:
            return {}
        rows = [line.split(",") for line in told.decode().splitlines() if line.startswith("replicas,replica")]
        return {row[1]: row[17].split()[0] for row in rows}


def missing() -> bool:
    """Whether haproxy is not there (Debian's package of that name)."""
    return shutil.which("haproxy") is None and shutil.which("haproxy", path="/usr/sbin") is None


def free_port() -> int:
    """A port that nobody uses now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])
