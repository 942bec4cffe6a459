"""The commands by which the pages for ECS and for the chart make the first key: what they leave behind is taken."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from service.auth.keys import read_keys

ROOT = Path(__file__).parents[2]
PAGES = ("deploy/ecs/README.md", "helm/penstock/README.md")


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl")
def test_the_commands_make_a_list_of_keys_and_the_pepper_that_they_are_hashed_with(page: str, tmp_path: Path) -> None:
    text = (ROOT / page).read_text("utf-8")
    lines = re.findall(r"^\$ ((?:openssl|penstock key|\(echo) ?.*)$", text, re.MULTILINE)
    assert len(lines) == 3
    script = f'penstock() {{ "{sys.executable}" -m service.cli "$@"; }}\n' + "\n".join(lines)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run(["sh", "-ec", script], cwd=tmp_path, env=environment, check=True, capture_output=True, timeout=60)
    pepper = (tmp_path / "pepper").read_text().split()
    key = (tmp_path / "made").read_text().splitlines()[0]
    keys = read_keys((tmp_path / "keys.yaml").read_text(), "keys.yaml", [each.encode() for each in pepper], ["orders"])
    assert len(keys) == 1
    assert keys.grant(key) is not None
    for used in re.findall(r"--from-file (\S+)|file://(\S+\w)", text):
        name = "".join(used)
        assert (tmp_path / name).exists(), name
