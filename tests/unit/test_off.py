"""What is off is not loaded."""

import subprocess
import sys

CODE = """
import sys
import service.app, service.cli, service.gateway, service.workers.worker
unasked = ("opentelemetry.sdk", "opentelemetry.exporter", "service.otlp")
unasked += ("jwt", "cryptography", "aiohttp", "aiobotocore")
print([name for name in sys.modules if name.startswith(unasked)])
"""


def test_nothing_that_spans_tokens_certificates_or_aws_need_is_loaded_unless_it_is_asked_for() -> None:
    """Tokens and AWS took 32 MiB of each process, and 0.7 s of CPU at its start."""
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]"
