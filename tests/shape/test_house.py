"""The shape of the house: small rooms, honest names, documented doors, and nothing of one machine in any file."""

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MODULES = sorted((ROOT / "service").rglob("*.py"))

NO_NOUN = {"utils", "util", "helpers", "helper", "common", "misc", "manager", "base"}
"""File names that say nothing of what lives there."""

MACHINE = re.compile(r"(?<![\w.$/}])/(?:home/[a-z]\w*|Users/[A-Za-z]\w*|root|work|mnt/[a-z]\w*)(?=/\w)|[A-Z]:\\\\Users")
"""An absolute path of somebody's own machine. Paths that every machine of a kind has (/var/lib, /tmp) are none."""


def tracked() -> Iterator[tuple[str, str]]:
    """Name and text of every text file under version control, this one left out, which names what it forbids."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=False)
    if listed.returncode != 0:
        pytest.skip("not a git checkout")
    for name in filter(None, listed.stdout.decode().split("\0")):
        path = ROOT / name
        if path == Path(__file__) or not path.is_file():
            continue
        try:
            yield name, path.read_text("utf-8")
        except UnicodeDecodeError:
            continue


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_is_a_room_with_a_sign(path: Path) -> None:
    """At most 300 lines, a name that is a noun, and a docstring on each public door."""
    text = path.read_text("utf-8")
    assert text.count("\n") <= 300
    assert path.stem not in NO_NOUN
    tree = ast.parse(text)
    assert ast.get_docstring(tree), "the module says nothing of itself"
    assert [name for name, node in _doors(tree) if not ast.get_docstring(node)] == []


def _doors(
    tree: ast.Module | ast.ClassDef, owner: str = ""
) -> Iterator[tuple[str, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef]]:
    """The public classes and functions of a module, and the methods of those that promise nothing by inheritance."""
    for node in tree.body:
        if isinstance(node, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)) and not node.name.startswith("_"):
            yield owner + node.name, node
            if isinstance(node, ast.ClassDef) and not node.bases:
                yield from _doors(node, f"{owner}{node.name}.")


def test_no_lock_holds_an_address() -> None:
    locks = sorted((ROOT / "requirements").glob("*.txt"))
    assert locks
    assert [path.name for path in locks if "://" in path.read_text("utf-8")] == []


def test_no_file_names_a_path_of_one_machine() -> None:
    assert [(name, found[0]) for name, text in tracked() if (found := MACHINE.search(text))] == []


@pytest.mark.parametrize("text", ["/home/ana/penstock", 'path: "/Users/Ana/x"', "cd /root/x"])
def test_a_path_of_one_machine_is_recognised(text: str) -> None:
    assert MACHINE.search(text)


@pytest.mark.parametrize("text", ["/var/lib/penstock", "POST /v1/home/x", "s3://home/me/x", "./work/a", "${X}/work/a"])
def test_other_paths_are_not(text: str) -> None:
    assert not MACHINE.search(text)


def test_every_target_that_is_promised_exists() -> None:
    text = (ROOT / "Makefile").read_text("utf-8")
    targets = set(re.findall(r"^([a-z-]+):", text, re.MULTILINE))
    assert {"setup", "run", "test", "check", "bench", "clean", "lock", "generated"} <= targets
    phony = re.search(r"^\.PHONY: (.*)$", text, re.MULTILINE)
    assert phony is not None
    assert set(phony[1].split()) == targets, ".PHONY names each target, and only targets"


def test_the_readme_is_one_screen() -> None:
    text = (ROOT / "README.md").read_text("utf-8")
    assert text.count("\n") <= 60
    links = re.findall(r"\]\((?!https?:)([^)#]+)", text)
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []
