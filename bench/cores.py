"""What each core and each contestant uses, as Linux tells it in /proc (proc_stat(5), proc_pid_stat(5)).

A contestant is a session: the process that was started in one of its own, and whatever it starts.
"""

import os
from collections.abc import Iterator
from pathlib import Path

from msgspec import Struct

TICKS = os.sysconf("SC_CLK_TCK")


class Core(Struct, frozen=True):
    """Seconds that one core has spent so far."""

    processes: float
    """In processes: user, nice, system."""
    all: float
    """In whatever: with interrupts, and what the hypervisor gave to others."""


def core(number: int) -> Core:
    """What core `number` has done so far."""
    for line in Path("/proc/stat").read_text("ascii").splitlines():
        name, *fields = line.split()
        if name == f"cpu{number}":
            user, nice, system, _idle, _iowait, irq, softirq, steal = (int(field) / TICKS for field in fields[:8])
            processes = user + nice + system
            return Core(processes, processes + irq + softirq + steal)
    raise LookupError(f"there is no core {number}")


def pair() -> tuple[int, int]:
    """The cores that the service and the load get: the first two that this process may use. Raises LookupError."""
    first, *others = sorted(os.sched_getaffinity(0))
    if not others:
        raise LookupError("the bench needs two cores: one for the service, one for load and destinations")
    return first, others[0]


def cpu_seconds(session: int) -> float:
    """CPU time of all processes of a session so far, and of the children that they have waited for."""
    return sum(sum(int(field) for field in fields[11:15]) for fields in _processes(session)) / TICKS


def peak_bytes(session: int) -> int:
    """The most resident memory that each process of a session ever had, summed."""
    return sum(_memory(int(fields[-1]), "VmHWM:") for fields in _processes(session))


def resident_bytes(session: int) -> int:
    """What of each process of a session is in memory now, summed."""
    return sum(_memory(int(fields[-1]), "VmRSS:") for fields in _processes(session))


def _processes(session: int) -> Iterator[list[str]]:
    """The fields of /proc/PID/stat from the state on, and the PID after them."""
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                text = (folder / "stat").read_text("utf-8", errors="replace")
            except OSError:
                continue  # it has ended meanwhile
            fields = text.rpartition(")")[2].split()
            if int(fields[3]) == session:
                yield [*fields, folder.name]


def _memory(pid: int, name: str) -> int:
    try:
        lines = Path(f"/proc/{pid}/status").read_text("utf-8").splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith(name)), 0)
