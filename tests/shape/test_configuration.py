"""docs/configuration.md is what the settings say."""

from pathlib import Path

from service import plugins
from service.aws.settings import AwsConfig
from service.config.reference import reference
from service.config.settings import Tree
from service.sinks.contract import SinkConfig

PAGE = Path(__file__).parents[2] / "docs" / "configuration.md"


def test_the_page_is_what_the_settings_say() -> None:
    assert PAGE.read_text("utf-8") == reference(), "run `make generated`"


def test_every_setting_stands_on_the_page() -> None:
    text = reference()
    for section, field in Tree.model_fields.items():
        assert f"`{section}" in text, field
    for name in plugins.known("sinks"):
        part = text.partition(f"with `type: {name}`")[2].partition("\n## ")[0]
        config = plugins.load("sinks", name).Config
        inherited = set(SinkConfig.model_fields) | (
            set(AwsConfig.model_fields) if issubclass(config, AwsConfig) else set()
        )
        for key in set(config.model_fields) - inherited:
            assert f"| `{key}` |" in part, (name, key)


def test_a_default_that_a_sink_changes_is_shown_with_that_sink() -> None:
    lane, firehose = (reference().partition(f"## `sinks.NAME`{each}")[2] for each in (": what", " with `type: fire"))
    assert "| `linger` | duration, 0s to 1m | `0s` |" in lane.partition("\n## ")[0]
    assert "| `linger` | duration, 0s to 1m | `100ms` |" in firehose.partition("\n## ")[0]


def test_every_setting_has_a_meaning() -> None:
    rows = [line for line in reference().splitlines() if line.startswith("| `")]
    assert len(rows) > 50
    assert not [row for row in rows if not row.rpartition(" | ")[2].strip(" |")]
