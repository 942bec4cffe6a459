"""What the build of the image takes away: nothing that the loader, the SDK or Python needs."""

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import zstandard

from deploy.image.trim import stripped, trim

SECONDS = 315532800


def _library() -> Path:
    spec = importlib.util.find_spec("zstandard.backend_c")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin)


@pytest.mark.skipif(sys.platform != "linux", reason="ELF is Linux's")
def test_a_stripped_library_is_loaded_and_works(tmp_path: Path) -> None:
    made = tmp_path / "zstandard"
    shutil.copytree(Path(zstandard.__file__).parent, made)
    whole = _library().read_bytes()
    (made / _library().name).write_bytes(stripped(whole))
    assert len(stripped(whole)) <= len(whole)
    script = "import zstandard as z; print(z.__file__, z.backend, z.decompress(z.compress(b'event')))"
    ran = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert ran.stdout.strip() == f"{made / '__init__.py'} cext b'event'"


def test_what_is_no_library_stays_as_it_is() -> None:
    assert stripped(b"INPUT(libz.so.1)") == b"INPUT(libz.so.1)"


def test_models_of_other_services_go_and_shared_files_stay(tmp_path: Path) -> None:
    data = tmp_path / "lib/python3.11/site-packages/botocore/data"
    for folder in ("sqs", "ec2"):
        (data / folder).mkdir(parents=True)
        (data / folder / "service.json").touch()
    (data / "endpoints.json").touch()
    (data.parent / "session.py").write_text("x = 1\n")
    (data.parent / "session.pyi").touch()
    (data.parents[1] / "service").mkdir()
    (data.parents[1] / "service" / "app.py").write_text("x = 1\n")
    (data.parents[1] / "typing_extensions.py").write_text("x = 1\n")
    trim(tmp_path, frozenset({"sqs"}), SECONDS)
    assert sorted(each.name for each in data.iterdir()) == ["endpoints.json", "sqs"]
    assert not (data.parent / "session.pyi").exists()
    left = {str(each.relative_to(data.parents[1])) for each in data.parents[1].rglob("*.py*") if each.is_file()}
    ours = {each for each in left if each.startswith("service/")}
    assert left - ours == {"botocore/session.pyc", "typing_extensions.pyc"}
    assert {Path(each).suffix for each in ours} == {".py", ".pyc"}
    assert {each.stat().st_mtime for each in tmp_path.rglob("*")} == {SECONDS}
