"""Settings of a firehose source: what cannot work is refused at start, by its path, in words that help."""

from pathlib import Path

import pytest

from service.config import load
from service.config.reference import effective
from service.errors import ConfigError
from service.sources.firehose.source import Firehose

KEY = "correct-horse-battery-staple"
TEXT = """
server: {{memory: {memory}, host: {host}, auth: none, workers: {workers}}}
sinks:
  main: {{type: memory}}
  dead: {{type: memory}}
routes:
  orders: {{to: [main], dead_letter: dead}}
sources:
  stream: {{type: firehose, codec: json, route: orders, {settings}}}
"""


def loaded(
    folder: Path, settings: str, *, host: str = "127.0.0.1", memory: str = "512MiB", workers: int = 1
) -> Firehose.Config:
    path = folder / "penstock.yaml"
    path.write_text(TEXT.format(settings=settings, host=host, memory=memory, workers=workers))
    found = load(path, {}).sources["stream"]
    assert isinstance(found, Firehose.Config)
    return found


def mistakes(folder: Path, settings: str, **more: object) -> str:
    with pytest.raises(ConfigError) as raised:
        loaded(folder, settings, **more)  # type: ignore[arg-type]
    return str(raised.value)


def test_what_firehose_may_send_is_taken_without_a_setting(tmp_path: Path) -> None:
    found = loaded(tmp_path, "")
    assert (found.max_body, found.max_records) == (64 * 2**20, 10_000)


def test_without_a_key_only_this_machine_may_send(tmp_path: Path) -> None:
    assert "sources.stream.access_keys: 0.0.0.0 is reached from elsewhere" in mistakes(tmp_path, "", host="0.0.0.0")
    assert loaded(tmp_path, f"access_keys: [{KEY}]", host="0.0.0.0").access_keys


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ("access_keys: [short]", "16 to 4096 characters"),
        (f"access_keys: [{'x' * 4097}]", "16 to 4096 characters"),
        (f"access_keys: [{KEY}], access_keys_variable: KEYS", "give one of access_keys"),
        ("access_keys_variable: NOT_SET_ANYWHERE", "sources.stream.access_keys: environment variable NOT_SET_ANYWHERE"),
        ("access_keys_file: missing", "cannot be read: No such file"),
        ("access_keys_file: empty", "there is no access key"),
        ("access_keys_file: short", "16 to 4096 characters"),
        ("access_keys_file: binary", "it is not UTF-8"),
        ("max_body: 65MiB", "sources.stream.max_body"),
        ("max_records: 10001", "sources.stream.max_records"),
        ("memory: 8MiB", "sources.stream.memory: 8MiB for each worker do not hold"),
    ],
)
def test_what_cannot_be_is_refused_by_its_path(tmp_path: Path, settings: str, words: str) -> None:
    (tmp_path / "empty").write_text("\n# none yet\n")
    (tmp_path / "short").write_text("short\n")
    (tmp_path / "binary").write_bytes(b"\xff" * 40)
    said = mistakes(tmp_path, settings)
    assert words in said
    assert "short\n" not in said


def test_a_body_that_has_no_room_among_those_of_a_worker_is_refused(tmp_path: Path) -> None:
    assert "sources.stream.max_body: 64MiB is more than" in mistakes(tmp_path, "memory: 1GiB", workers=4)
    assert loaded(tmp_path, "max_body: 32MiB, memory: 1GiB", workers=4).max_body == 32 * 2**20


def test_keys_never_show(tmp_path: Path) -> None:
    found = loaded(tmp_path, f"access_keys: [{KEY}]")
    assert KEY not in repr(found) + str(found.model_dump(mode="json"))
    assert KEY not in effective(load(tmp_path / "penstock.yaml", {}))
