"""A command, and each option of it, that a page shows is one that there is."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.main import get_command

from service.cli import app

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    [
        *ROOT.glob("*.md"),
        *(ROOT / "docs").rglob("*.md"),
        *(ROOT / "deploy").rglob("*.md"),
        *(ROOT / "helm").rglob("*.md"),
        ROOT / "helm" / "penstock" / "templates" / "NOTES.txt",
    ]
)
SHOWN = re.compile(r"(?:^|[`$&|(/ ])penstock ((?:[a-z][a-z-]+ ?)+)([^`\n#]*(?:\\\n[^`\n#]*)*)", re.MULTILINE)
OPTION = re.compile(r"(?<!\S)--[a-z][a-z0-9-]*")


def _commands() -> dict[tuple[str, ...], set[str]]:
    """The options of each command that is shown in `--help`, by the words that it begins with."""
    found: dict[tuple[str, ...], set[str]] = {}

    def walk(command: object, words: tuple[str, ...]) -> None:
        found[words] = {text for each in getattr(command, "params", ()) for text in (*each.opts, *each.secondary_opts)}
        for name, inner in getattr(command, "commands", {}).items():
            if not inner.hidden:
                walk(inner, (*words, name))

    walk(get_command(app), ())
    return found


COMMANDS = _commands()


def _shown(text: str) -> Iterator[tuple[tuple[str, ...], set[str]]]:
    """(the words of a command that there is, the options that stand behind it)."""
    for match in SHOWN.finditer(text):
        words: tuple[str, ...] = ()
        for word in match[1].split():
            if (*words, word) not in COMMANDS:
                break
            words = (*words, word)
        if words:
            yield words, set(OPTION.findall(match[2].partition(" penstock ")[0]))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_what_a_page_shows_of_a_command_there_is(page: Path) -> None:
    shown = _shown(page.read_text("utf-8"))
    assert [(words, missing) for words, options in shown if (missing := options - COMMANDS[words])] == []


def test_every_command_is_on_a_page() -> None:
    on_pages = {words for page in PAGES for words, _ in _shown(page.read_text("utf-8"))}
    leaves = {words for words in COMMANDS if not any(each[:-1] == words for each in COMMANDS if each)}
    assert leaves - on_pages == set()
