"""Configuration files: a configuration, or mistakes that say where; never anything else."""

from pathlib import Path
from tempfile import TemporaryDirectory

from service.config.load import load
from service.document import read
from service.errors import ConfigError

ENVIRONMENT = {"WORD": "word", "EMPTY": ""}
_MOST_MISTAKES = 100_000


def run(data: bytes) -> None:
    """The file."""
    with TemporaryDirectory() as folder:
        path = Path(folder, "penstock.yaml")
        path.write_bytes(data)
        document = read(path, ENVIRONMENT)
        assert isinstance(document.value, dict)
        assert all(isinstance(name, str) for name in document.value)
        if _loads_modules(document.value):
            return
        try:
            config = load(path, ENVIRONMENT)
        except ConfigError as error:
            assert 0 < len(error.mistakes) <= _MOST_MISTAKES
            assert all(mistake.isprintable() or "\n" in mistake or len(mistake) for mistake in error.mistakes)
        else:
            assert config.routes


def _loads_modules(value: object) -> bool:
    """Whether some plugin of somebody else's is named: it would be imported."""
    if isinstance(value, dict):
        return any(_loads_modules(each) for each in value.values())
    if isinstance(value, list):
        return any(map(_loads_modules, value))
    return isinstance(value, str) and ":" in value and "." in value
