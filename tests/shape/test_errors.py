"""docs/errors.md and the code agree: each code, its status, and whether a retry can help."""

import ast
import re
from http import HTTPStatus
from pathlib import Path

import pytest

from service import errors
from service.auth.refusal import KeysAwaited
from service.errors import Code, IngestError
from service.http.answer import undelivered
from service.outcome import Reason
from service.receipt import Fate, Settlement

ROOT = Path(__file__).parents[2]
ROW = re.compile(r"^\| `(?P<code>\w+)` \| (?P<status>\d{3}) \| (?P<retryable>yes|no) \|", re.MULTILINE)

Said = tuple[int, bool]
"""Status and whether a retry can help."""


def _table() -> dict[str, Said]:
    rows = list(ROW.finditer((ROOT / "docs" / "errors.md").read_text("utf-8")))
    assert len({row["code"] for row in rows}) == len(rows), "a code stands there twice"
    return {row["code"]: (int(row["status"]), row["retryable"] == "yes") for row in rows}


def _classes() -> dict[str, type[IngestError]]:
    """Every class of the family by name, those that other modules add too."""
    found: dict[str, type[IngestError]] = {}
    waiting: list[type[IngestError]] = [IngestError]
    while waiting:
        each = waiting.pop()
        found[each.__name__] = each
        waiting += each.__subclasses__()
    return found


def _raised() -> set[tuple[Code, Said]]:
    """What the code says of each `Code`, wherever it makes an error or a problem document of one."""
    classes, said = _classes(), set[tuple[Code, Said]]()
    for path in (ROOT / "service").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_bytes())):
            if not isinstance(node, ast.Call):
                continue
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            codes = [code for each in node.args[:2] if (code := _code(each)) is not None]
            if name in classes and codes:
                said.add((codes[0], (classes[name].status, classes[name].retryable)))
            elif name == "problem" and codes and (status := _status(node.args[0])) is not None:
                retryable = next(k.value for k in node.keywords if k.arg == "retryable")
                assert isinstance(retryable, ast.Constant)
                said.add((codes[0], (status, bool(retryable.value))))
    return said


def _code(node: ast.expr) -> Code | None:
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "Code":
        return Code[node.attr]
    return None


def _status(node: ast.expr) -> int | None:
    if isinstance(node, ast.Constant) and isinstance(node.value, int):
        return node.value
    return HTTPStatus[node.attr].value if isinstance(node, ast.Attribute) and node.attr.isupper() else None


def _undelivered() -> set[tuple[Code, Said]]:
    """What is answered of an event that a required sink did not take."""
    failures = (
        Settlement(Fate.REJECTED, Reason.TOO_LARGE, refused=True),
        Settlement(Fate.EXPIRED, Reason.PATIENCE_OVER),
        Settlement(Fate.EXPIRED, Reason.PATIENCE_OVER, may_duplicate=True),
    )
    results = [undelivered(0, "id", ("sink",), {"sink": failure}, settled=True) for failure in failures]
    return {(Code(result.error["code"]), (result.http_status, result.retryable)) for result in results}


def test_the_table_has_every_code_and_no_other() -> None:
    assert set(_table()) == {code.value for code in Code}


def test_the_table_says_what_the_code_answers() -> None:
    table = _table()
    # those whose class names the code itself, and the answer to a path that is not ours
    named = {
        (Code.DRAINING, (errors.Draining.status, errors.Draining.retryable)),
        (Code.INTERNAL, (errors.Defect.status, errors.Defect.retryable)),
        (Code.BUSY, (errors.Busy.status, errors.Busy.retryable)),
        (Code.STRICT_REFUSED, (errors.StrictlyRefused.status, errors.StrictlyRefused.retryable)),
        (Code.UNKNOWN_PATH, (404, False)),
        (Code.METHOD_NOT_ALLOWED, (405, False)),
        (Code.AUTH_UNAVAILABLE, (KeysAwaited.status, KeysAwaited.retryable)),
    }
    said = _raised() | _undelivered() | named
    # too deep to be split is about the whole body: the table has both
    allowed = {(Code.NESTED_TOO_DEEP, (400, False))}
    assert {each for each in said if table[each[0].value] != each[1]} <= allowed
    assert {code for code, _ in said} == set(Code), "a code that nothing answers, or that this test does not find"


@pytest.mark.parametrize("kind", [kind for kind in _classes().values() if kind is not IngestError])
def test_a_4xx_is_never_our_trouble_and_a_5xx_always_may_be_tried_again(kind: type[IngestError]) -> None:
    assert kind.status >= 400
    if kind.status >= 500:
        assert kind.retryable
