"""Signals before the service runs: as process 1 of a container it must end by itself."""

import signal
import subprocess
import sys

import pytest

SCRIPT = """
import os, signal
own = os.getpid()
os.getpid = lambda: {pid}
from service.signals import end_when_told
end_when_told()
print(signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL, flush=True)
os.kill(own, signal.SIGTERM)
"""


ENDED = [(1, "True", 128 + signal.SIGTERM), (2, "False", -signal.SIGTERM)]


@pytest.mark.parametrize(("pid", "own_handler", "code"), ENDED)
def test_told_to_stop_while_it_starts_it_ends_also_as_process_1(pid: int, own_handler: str, code: int) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", SCRIPT.format(pid=pid)], capture_output=True, text=True, check=False, timeout=30
    )
    assert (ran.stdout.strip(), ran.returncode) == (own_handler, code)
