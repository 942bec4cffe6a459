"""parliament, which knows what IAM understands: actions, resources and conditions, and which go together."""

import json
import subprocess
from pathlib import Path

PARLIAMENT = Path(__file__).parents[2] / ".lab" / "tools" / "bin" / "parliament"


def findings(folder: Path) -> list[str]:
    """What parliament has to say of the policies in a folder, of any severity."""
    done = subprocess.run(
        [PARLIAMENT, "--directory", folder, "--json"], capture_output=True, text=True, check=False, timeout=60
    )
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == bool(found), done.stderr
    return [f"{each['severity']} {each['issue']}: {each['detail']}" for each in found]
