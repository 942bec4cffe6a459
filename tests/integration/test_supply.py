"""What is said of the locks: an audit that proves nothing says so; a bill of materials is valid, and names no index."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from deploy.local.child import ROOT
from deploy.supply.audit import UNPROVEN, VULNERABLE, audit
from deploy.supply.sbom import PROGRAM, sbom

LOCK = ROOT / "requirements" / "build.txt"
SOUND = {"name": "a", "version": "1", "vulns": []}
BAD = {"name": "b", "version": "2", "vulns": [{"id": "PYSEC-1", "fix_versions": ["3"]}]}
SKIPPED = {"name": "c", "skip_reason": "not found"}

VALIDATE = """
import sys
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
print(JsonStrictValidator(SchemaVersion.V1_6).validate_str(sys.stdin.read()))
"""


@pytest.mark.parametrize(
    ("packages", "code", "said"),
    [
        ([SOUND], 0, "nothing is known"),
        ([SOUND, BAD], VULNERABLE, "b 2: PYSEC-1, mended in 3"),
        ([SOUND, SKIPPED], UNPROVEN, "NOT AUDITED"),
        ([BAD, SKIPPED], VULNERABLE, "NOT AUDITED"),
        ([], UNPROVEN, "NOT AUDITED"),
        (None, UNPROVEN, "cannot be asked: no route"),
    ],
)
def test_an_audit_that_proves_nothing_is_no_success(
    tmp_path: Path, packages: list[dict[str, Any]] | None, code: int, said: str
) -> None:
    program = tmp_path / "pip-audit"
    answer = "echo no route >&2; exit 1" if packages is None else f"echo '{json.dumps({'dependencies': packages})}'"
    program.write_text(f"#!/bin/sh\n{answer}\n")
    program.chmod(0o755)
    found, lines = audit(LOCK, program, "pypi")
    assert found == code
    assert said in "\n".join(lines)


def test_the_bill_of_materials_is_valid_has_every_package_and_names_no_index_and_no_time() -> None:
    if not PROGRAM.exists():
        pytest.skip("no cyclonedx-py: `make .lab/tools/.complete`")
    document = sbom(LOCK)
    locked = {
        line.split("==")[0] for line in LOCK.read_text().splitlines() if "==" in line and not line.startswith(" ")
    }
    assert {component["name"] for component in document["components"]} == locked
    assert all(component["hashes"] for component in document["components"])
    text = json.dumps({key: value for key, value in document.items() if key != "$schema"})
    assert "://" not in text
    assert not {"serialNumber", "timestamp"} & {*document, *document["metadata"]}, "the same lock gives the same bytes"
    python = PROGRAM.parent / "python"
    ran = subprocess.run(
        [python, "-c", VALIDATE], input=json.dumps(document), capture_output=True, text=True, check=True
    )
    assert ran.stdout.strip() == "None"
