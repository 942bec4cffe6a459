"""What fuzzing has found, and what it begins with: all of it is run again, and takes no more than its share."""

from pathlib import Path

import pytest

from tests.fuzz.bounds import MEMORY, STEPS, memory, steps
from tests.fuzz.targets import CORPUS, NAMES, corpus, target

EACH = [path for name in NAMES for path in corpus(name)]


@pytest.mark.parametrize("path", EACH, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_every_decoder_returns_or_says_what_is_wrong_within_its_bounds(path: Path) -> None:
    run, data = target(path.parent.name), path.read_bytes()
    run(data)  # once before: what is loaded and remembered is not counted
    assert steps(run, data) <= STEPS[0] + STEPS[1] * len(data)
    assert memory(run, data) <= MEMORY[0] + MEMORY[1] * len(data)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("data", [b"", b"\0", b"\n\n", b"\xff" * 300, b"[" * 600, b'{"a":' * 200, b"9" * 4000])
def test_rubbish_is_returned_from_or_refused(name: str, data: bytes) -> None:
    run = target(name)
    run(data)
    assert steps(run, data) <= STEPS[0] + STEPS[1] * len(data)


def test_a_corpus_is_small_and_each_harness_has_one() -> None:
    assert sorted(path.name for path in CORPUS.iterdir()) == sorted(NAMES)
    assert all(corpus(name) for name in NAMES)
    assert max(path.stat().st_size for path in EACH) <= 8192
    assert sum(path.stat().st_size for path in EACH) <= 256 * 1024
