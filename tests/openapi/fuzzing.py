"""A run of schemathesis (`.lab/tools`) against the whole service, in this process, on ports of its own."""

import asyncio
import os
from pathlib import Path

import uvloop

from tests.http.running import running

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent
TOOLS = ROOT / ".lab" / "tools" / "bin"
CONFIGURATION = (HERE / "penstock.yaml").read_text("utf-8")
FILES = {"order.schema.json": (HERE / "order.schema.json").read_text("utf-8")}


def fuzzed(*options: str) -> tuple[int, str]:
    """Schemathesis' exit code and what it says. The service keeps its books, or this raises."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:  # as production has it
        return runner.run(_fuzzed(options))


async def _fuzzed(options: tuple[str, ...]) -> tuple[int, str]:
    async with running(CONFIGURATION, FILES) as service:
        process = await asyncio.create_subprocess_exec(
            TOOLS / "schemathesis",
            "--config-file",
            HERE / "schemathesis.toml",
            "run",
            ROOT / "openapi.yaml",
            "--url",
            service.url,
            *options,
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "120"},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        said, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, said.decode()
