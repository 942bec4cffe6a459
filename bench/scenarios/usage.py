"""What processes use, as Linux tells it in /proc (proc_stat(5), proc_pid_stat(5), proc_pid_status(5)).

Elsewhere nobody does.
"""

import os
from math import nan
from pathlib import Path


def cpu_seconds(pid: int) -> float:
    """CPU time of the process so far, user and system; nan where /proc does not tell."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text("utf-8")
    except OSError:
        return nan
    fields = text.rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def machine_cpu_seconds() -> float:
    """CPU time of all processes of this machine so far, and of its kernel; nan where /proc does not tell."""
    try:
        fields = [int(field) for field in Path("/proc/stat").read_text("utf-8").splitlines()[0].split()[1:8]]
    except OSError:
        return nan
    user, nice, system, _, _, interrupts, soft_interrupts = fields
    return (user + nice + system + interrupts + soft_interrupts) / os.sysconf("SC_CLK_TCK")


def resident_bytes(pid: int, most: bool = False) -> float:
    """Resident memory of the process, or the most it ever was; nan where /proc does not tell."""
    name = "VmHWM:" if most else "VmRSS:"
    try:
        lines = Path(f"/proc/{pid}/status").read_text("utf-8").splitlines()
    except OSError:
        return nan
    return next((int(line.split()[1]) * 1024.0 for line in lines if line.startswith(name)), nan)
