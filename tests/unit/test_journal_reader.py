"""The journal's reader: it opens the file wherever its path starts."""

import os
from pathlib import Path

import pytest

from service.journal.reader import Reader
from service.journal.store import Store


@pytest.mark.parametrize("name", ["journal.db", "a folder/100%/j.db"])
def test_a_path_beside_the_working_folder_is_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.chdir(tmp_path)
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    with Store.open(path):
        reader = Reader(path)
        assert reader.rows(1, 1, 1000) == []
        reader.close()
    assert os.listdir(path.parent)
