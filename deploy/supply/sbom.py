"""`python -m deploy.supply.sbom [LOCK]`: the bill of materials of a lock, as CycloneDX 1.6 JSON on standard output.

The same lock gives the same bytes: no time, no serial number. It names no index: where a package is fetched from is the
business of who installs it, and its hashes say whether that was the right one.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Final

from deploy.local.child import ROOT

PROGRAM: Final = ROOT / ".lab" / "tools" / "bin" / "cyclonedx-py"
VERSION: Final = "1.6"


def sbom(lock: Path, program: Path = PROGRAM) -> dict[str, Any]:
    """The document, valid by its schema before the index was taken out of it. Raises RuntimeError."""
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder) / "sbom.json"
        done = subprocess.run(
            [
                *(program, "requirements", lock, "--pyproject", ROOT / "pyproject.toml"),
                *("--output-reproducible", "--short-PURLs", "--validate"),
                *("--sv", VERSION, "--of", "JSON", "--output-file", made),
            ],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"{lock}: {done.stderr.strip()[-500:]}")
        document: dict[str, Any] = json.loads(made.read_text())
    document["metadata"].pop("tools", None)
    for component in document["components"]:
        _without_index(component)
    return document


def _without_index(component: dict[str, Any]) -> None:
    """Keep of where a package comes from only its hashes: one of them is that of what is installed."""
    component.pop("description", None)
    component["hashes"] = [
        found for reference in component.pop("externalReferences", []) for found in reference.get("hashes", [])
    ]


def main() -> int:
    """Print it. Returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m deploy.supply.sbom", description="The bill of materials of a lock."
    )
    parser.add_argument("lock", nargs="?", type=Path, default=ROOT / "requirements" / "run.txt")
    parser.add_argument("--program", type=Path, default=PROGRAM, help="cyclonedx-py.")
    options = parser.parse_args()
    try:
        document = sbom(options.lock, options.program)
    except RuntimeError as error:
        print(error, file=sys.stderr)
        return 1
    print(json.dumps(document, indent=2, sort_keys=True))
    return 0


if __name__ == "__main__":
    sys.exit(main())
