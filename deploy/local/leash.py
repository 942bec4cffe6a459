"""Runs a Python module in this process, for as long as its starter lives: `python leash.py MODULE [ARGUMENT...]`.

The starter holds the other end of stdin. When that closes, however the starter died, the module gets a SIGTERM,
and is ended for good if it has not obeyed after 30 s. Nothing but the standard library: it runs in any venv.
"""

import os
import runpy
import signal
import sys
import threading
import time

PATIENCE_SECONDS = 30.0


def _obey() -> None:
    while os.read(0, 4096):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(PATIENCE_SECONDS)
    os._exit(1)


if __name__ == "__main__":
    sys.argv.pop(0)
    if not sys.flags.safe_path:
        sys.path.pop(0)  # this folder, whose modules must not shadow the module's own imports
    threading.Thread(target=_obey, name="leash", daemon=True).start()
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
