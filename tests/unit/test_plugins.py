"""Plugins: found by file name or path, and what is said of those that are not."""

import sys
from pathlib import Path

import pytest

from service import plugins
from service.schemas.jsonschema import JsonSchema
from service.sinks.memory import Memory


def test_a_name_is_the_class_in_the_file_of_that_name() -> None:
    assert plugins.load("sinks", "memory") is Memory
    assert plugins.load("schemas", "jsonschema") is JsonSchema


def test_a_path_is_the_class_that_it_names() -> None:
    assert plugins.load("sinks", "service.sinks.memory:Memory") is Memory


def test_only_files_with_a_plugin_are_known() -> None:
    known = plugins.known("sinks")
    assert {"file", "firehose", "kafka", "kinesis", "memory", "sqs", "stdout"} <= set(known)
    assert not {"contract", "kafka_errors", "file_folder"} & set(known)


def test_what_is_known_is_found_without_importing_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "service.sinks.memory")
    assert "memory" in plugins.known("sinks")
    assert "service.sinks.memory" not in sys.modules


@pytest.mark.parametrize(
    ("type", "message"),
    [
        ("kinesys", r"'kinesys' is not a known type\. Did you mean 'kinesis'\? Known: file, firehose, kafka"),
        ("nothing_like_it", r"is not a known type\. Known: file, .*; or name your own class, `package.module:Class`"),
        ("../sinks/memory", "is not a known type"),
        ("contract", "is not a known type"),
        ("", "is not a known type"),
        ("my_pkg.sinks:", "is not of the form `package.module:Class`"),
        ("my-pkg:Mine", "is not of the form `package.module:Class`"),
        ("no_such_package.sinks:Mine", "cannot be imported: No module named 'no_such_package'; is its package inst"),
        ("service.sinks.memory:Mine", "module 'service.sinks.memory' has no 'Mine'"),
        ("service.sinks.memory:FULL", "is no plugin: it must be a class with a pydantic model as `Config`"),
        ("service.sinks.memory:Batch", "is no plugin"),
    ],
)
def test_what_is_no_plugin_is_answered_with_what_would_be(type: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        plugins.load("sinks", type)


@pytest.mark.parametrize(
    ("code", "message"),
    [("def broken(", "SyntaxError"), ("raise RuntimeError('at once')", "RuntimeError: at once")],
)
def test_a_module_that_fails_while_it_is_imported_is_a_mistake(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str, message: str
) -> None:
    (tmp_path / "failing_module.py").write_text(code)
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(ValueError, match=f"'failing_module:Mine' cannot be imported: {message}"):
        plugins.load("sinks", "failing_module:Mine")
