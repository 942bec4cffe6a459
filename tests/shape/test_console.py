"""The console's files: nothing from elsewhere, nothing inline, what is vendored as it was, all of it in the wheel."""

import hashlib
import re
import zipfile
from pathlib import Path

import pytest
from hatchling.builders.wheel import WheelBuilder

ROOT = Path(__file__).parents[2]
STATIC = ROOT / "service" / "admin" / "static"
OURS = sorted(path for path in STATIC.iterdir() if path.is_file())
VENDORED = sorted(path for path in (STATIC / "vendor").iterdir() if path.name not in ("README.md", "SHA256SUMS"))
NAMESPACE = "http://www.w3.org/2000/svg"


@pytest.mark.parametrize("path", OURS, ids=lambda path: path.name)
def test_a_file_of_the_page_is_a_room_and_names_no_other_place(path: Path) -> None:
    text = path.read_text("utf-8")
    assert text.count("\n") <= 300
    assert "://" not in text.replace(NAMESPACE, "")


def test_the_page_has_nothing_inline_that_its_policy_would_forbid() -> None:
    page = (STATIC / "console.html").read_text("utf-8")
    assert not re.search(r"\s(?:style|on\w+)=|<style|javascript:", page)
    assert re.findall(r"<script(?![^>]* src=)", page) == []
    scripts = "".join(path.read_text("utf-8") for path in OURS if path.suffix == ".js")
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function", scripts)


def test_whatever_the_page_names_exists() -> None:
    page = (STATIC / "console.html").read_text("utf-8")
    named = re.findall(r'(?:src|href)="console/static/([^"]+)"', page)
    assert len(named) >= 6
    assert [name for name in named if not (STATIC / name).is_file()] == []
    modules = {path.name: set(re.findall(r'from "\./([\w.]+)"', path.read_text("utf-8"))) for path in OURS}
    reached = {"console.js"}
    while more := {name for module in reached for name in modules[module]} - reached:
        reached |= more
    assert reached == {path.name for path in OURS if path.suffix == ".js"}


def test_what_is_not_ours_is_as_it_was_published_and_has_its_licence_beside_it() -> None:
    folder = STATIC / "vendor"
    lines = [line.split("  ") for line in (folder / "SHA256SUMS").read_text().splitlines()]
    sums = {name: digest for digest, name in lines}
    assert sums == {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in VENDORED}
    told = (folder / "README.md").read_text("utf-8")
    assert [name for name in sums if name not in told] == []
    assert "MIT License" in (folder / "uPlot.LICENSE.txt").read_text()


def test_the_wheel_has_every_file_of_the_console(tmp_path: Path) -> None:
    [wheel] = WheelBuilder(str(ROOT)).build(directory=str(tmp_path), versions=["standard"])
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    wanted = {path.relative_to(ROOT).as_posix() for path in STATIC.rglob("*") if path.is_file()}
    assert wanted <= names
