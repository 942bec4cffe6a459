"""The configuration in an environment variable: its text, where a container has no file."""

from pathlib import Path

import pytest

from service.config import find, load
from service.config.load import again
from service.errors import ConfigError

TEXT = """\
server: {port: 8081, auth: "${WHO:-none}"}
sinks: {data: {type: file, path: events}}
routes: {orders: {to: [data]}}
"""


def test_the_text_is_found_before_the_file_that_an_image_names_and_after_the_one_that_is_asked_for() -> None:
    environment = {"PENSTOCK_CONFIG_YAML": TEXT, "PENSTOCK_CONFIG": "/etc/penstock/penstock.yaml"}
    assert find(None, environment) is None
    assert find(Path("given.yaml"), environment) == Path("given.yaml")
    assert find(None, environment | {"PENSTOCK_CONFIG_YAML": ""}) == Path("/etc/penstock/penstock.yaml")


def test_the_text_is_read_as_a_file_would_be() -> None:
    config = load(None, {"PENSTOCK_CONFIG_YAML": TEXT, "PENSTOCK__SERVER__PORT": "8082"})
    assert config.server.port == 8082
    assert list(config.routes) == ["orders"]
    assert str(config.origin) == "PENSTOCK_CONFIG_YAML"
    assert again(config.tree, config.origin).sinks == config.sinks  # as a worker has it


def test_a_mistake_in_the_text_has_its_line() -> None:
    with pytest.raises(ConfigError) as error:
        load(None, {"PENSTOCK_CONFIG_YAML": TEXT + "routs: {}\n"})
    assert error.value.mistakes[0].startswith("PENSTOCK_CONFIG_YAML:4: routs: ")


@pytest.mark.parametrize("text", ["sinks: {a", "- a\n- b\n", "a: [" * 2000])
def test_a_text_that_is_no_mapping_is_a_mistake_and_nothing_is_built_in_instead(text: str) -> None:
    with pytest.raises(ConfigError) as error:
        load(None, {"PENSTOCK_CONFIG_YAML": text})
    assert all(each.startswith("PENSTOCK_CONFIG_YAML:") for each in error.value.mistakes)


def test_a_file_that_is_asked_for_is_read_although_there_is_a_text(tmp_path: Path) -> None:
    path = tmp_path / "penstock.yaml"
    path.write_text(TEXT.replace("orders", "lines"))
    assert list(load(path, {"PENSTOCK_CONFIG_YAML": TEXT}).routes) == ["lines"]
