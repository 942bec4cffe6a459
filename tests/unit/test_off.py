"""What is off is not loaded."""

import subprocess
import sys

CODE = """
import sys
import service.app, service.cli, service.gateway, service.workers.worker
unasked = ("opentelemetry.sdk", "opentelemetry.exporter", "service.otlp")
print([name for name in sys.modules if name.startswith(unasked)])
"""


def test_nothing_that_records_or_sends_spans_is_loaded_unless_it_is_asked_for() -> None:
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]"
