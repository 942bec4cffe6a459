"""Sizes, durations and paths, as they are written in YAML and shown again."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from service.units import ConfigPath, format_duration, format_size, is_host, parse_duration, parse_size


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("64MiB", 64 * 2**20),
        ("1MB", 10**6),
        ("0.07MB", 70_000),
        ("1.5KiB", 1536),
        ("1 kB", 1000),
        ("7", 7),
        (7, 7),
        (2e3, 2000),
    ],
)
def test_a_size_is_read(text: object, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize(
    ("text", "seconds"), [("100ms", 0.1), ("20s", 20.0), ("5m", 300.0), ("1.5h", 5400.0), ("1d", 86400.0), (3, 3.0)]
)
def test_a_duration_is_read(text: object, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    "wrong",
    ["64MIB", "1 parsec", "-1MiB", "", "MiB", "1e3", "1..2", "٣MiB", True, None, [], float("inf"), float("nan")],
)
def test_what_is_no_quantity_is_refused_with_an_example(wrong: object) -> None:
    with pytest.raises(ValueError, match="such as 64MiB"):
        parse_size(wrong)
    with pytest.raises(ValueError, match="such as 100ms"):
        parse_duration(wrong)


@pytest.mark.parametrize("wrong", ["1.5B", "0.0001KiB", 0.5])
def test_a_part_of_a_byte_is_refused(wrong: object) -> None:
    with pytest.raises(ValueError, match="whole number of bytes"):
        parse_size(wrong)


def test_a_wrong_unit_is_answered_with_those_there_are() -> None:
    with pytest.raises(ValueError, match="KiB, MiB, GiB, TiB"):
        parse_size("64MIB")


@given(st.integers(0, 2**50))
def test_a_shown_size_is_the_same_when_read_again(size: int) -> None:
    assert parse_size(format_size(size)) == size


@given(st.floats(0, 1e9) | st.integers(0, 10**7).map(lambda tenths: tenths / 10))
def test_a_shown_duration_is_the_same_when_read_again(seconds: float) -> None:
    assert parse_duration(format_duration(seconds)) == seconds


@pytest.mark.parametrize(
    ("shown", "written"),
    [
        (format_size(64 * 2**20), "64MiB"),
        (format_size(2000), "2kB"),
        (format_size(0), "0B"),
        (format_duration(0.1), "100ms"),
        (format_duration(90.0), "90s"),
        (format_duration(3600.0), "1h"),
        (format_duration(1234567.0), "1234567s"),
        (format_duration(0.0), "0s"),
    ],
)
def test_a_quantity_is_shown_as_a_human_writes_it(shown: str, written: str) -> None:
    assert shown == written


class _Settings(BaseModel):
    path: ConfigPath


def test_a_relative_path_starts_beside_the_configuration() -> None:
    read = _Settings.model_validate({"path": "schemas/order.json"}, context={"folder": Path("/etc/penstock")})
    assert read.path == Path("/etc/penstock/schemas/order.json")


def test_an_absolute_path_stays_as_it_is() -> None:
    read = _Settings.model_validate({"path": "/schemas/order.json"}, context={"folder": Path("/etc/penstock")})
    assert read.path == Path("/schemas/order.json")


def test_a_path_is_shown_absolute() -> None:
    assert _Settings(path=Path("data")).model_dump(mode="json") == {"path": str(Path("data").absolute())}


@pytest.mark.parametrize("path", [1, "", " ", "a\0b"])
def test_what_is_no_path_is_refused(path: object) -> None:
    with pytest.raises(ValidationError):
        _Settings.model_validate({"path": path})


@pytest.mark.parametrize(
    "text",
    [
        "127.0.0.1",
        "0.0.0.0",
        "::",
        "::1",
        "fe80::1%eth0",
        "localhost",
        "b-1.kafka.example.com",
        "my_broker",
        "x.",
        "3a",
    ],
)
def test_an_address_and_the_name_of_a_host_are_hosts(text: str) -> None:
    assert is_host(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "not a host",
        "a:1",
        "[::1]",
        "::1::",
        "300.0.0.1",
        "1.2.3",
        "-a",
        "a-",
        "a..b",
        ".a",
        "a/b",
        "x" * 64,
        "ü",
    ],
)
def test_what_is_neither_is_no_host(text: str) -> None:
    assert not is_host(text)


def test_the_name_of_a_host_has_253_characters_at_most() -> None:
    longest = ".".join(["x" * 63] * 3 + ["x" * 61])
    assert is_host(longest)
    assert not is_host(f"x{longest}")
