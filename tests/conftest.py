"""What all tests share: a busy machine fails none of them, and one Apache Kafka is enough for all processes."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from xdist.scheduler import LoadFileScheduling

from tests.integration.real_kafka import REAL

settings.register_profile("unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unhurried")


class _KafkaTogether(LoadFileScheduling):  # type: ignore[misc]  # xdist has no types
    """A file of tests at a time for each process; those that share Apache Kafka are one, for it is slow to start."""

    def _split_scope(self, nodeid: str) -> str:
        path: str = super()._split_scope(nodeid)
        return "Apache Kafka" if path in self._sharing else path

    _sharing = frozenset(
        f"tests/integration/{path.name}"
        for path in Path(__file__).with_name("integration").glob("test_*.py")
        if REAL and any(name in path.read_text() for name in ("real_kafka:", "secured_kafka", '"real_kafka"'))
    )


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> LoadFileScheduling | None:
    """Instead of `--dist loadfile`."""
    return _KafkaTogether(config, log) if config.getvalue("dist") == "loadfile" else None


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """A test that was run again, in CI, passed or not: why it was is told either way."""
    for report in terminalreporter.stats.get("rerun", ()):
        terminalreporter.section(f"{report.nodeid} was run again")
        terminalreporter.write_line(report.longreprtext)
