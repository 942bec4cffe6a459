"""`python -m deploy.supply.audit [LOCK ...]`: whether anything in the locks is known to be vulnerable.

pip-audit asks a service about each. Exit code 0: all were asked about, nothing is known; 1: something is; 3: the
service did not answer, or does not know every package: nothing is proven then, and it is said so. pip-audit itself ends
with 0 where an index answers, but knows nothing of vulnerabilities.
"""

import argparse
import subprocess
import sys
from pathlib import Path
from typing import Final

import msgspec

from deploy.local.child import ROOT

PROGRAM: Final = ROOT / ".lab" / "tools" / "bin" / "pip-audit"
LOCKS: Final = ("requirements/run.txt", "requirements/extras.txt", "requirements/build.txt")
"""What an image is made of."""
VULNERABLE, UNPROVEN = 1, 3


class Vulnerability(msgspec.Struct, frozen=True):
    """Something that is known against a release."""

    id: str
    fix_versions: list[str] = []


class Package(msgspec.Struct, frozen=True):
    """One package of a lock, and what came of asking."""

    name: str
    version: str = ""
    vulns: list[Vulnerability] = []
    skip_reason: str | None = None


class Found(msgspec.Struct, frozen=True):
    """What pip-audit prints with `--format json`."""

    dependencies: list[Package]


def audit(lock: Path, program: Path, service: str) -> tuple[int, list[str]]:
    """The exit code for one lock, and what to say."""
    asked = ["--require-hashes", "--disable-pip", "--format", "json", "--progress-spinner", "off", "-s", service]
    done = subprocess.run([str(program), "-r", str(lock), *asked], capture_output=True, text=True, check=False)
    try:
        packages = msgspec.json.decode(done.stdout, type=Found).dependencies
    except msgspec.DecodeError:
        last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        return UNPROVEN, [f"{lock}: NOT AUDITED, the service {service!r} cannot be asked: {last[:200]}"]
    known = [
        f"{lock}: {each.name} {each.version}: {found.id}, mended in {', '.join(found.fix_versions) or 'no release'}"
        for each in packages
        for found in each.vulns
    ]
    skipped = sum(each.skip_reason is not None for each in packages)
    if skipped:
        known.append(
            f"{lock}: NOT AUDITED, the service {service!r} knows nothing of {skipped} of {len(packages)} packages"
        )
    if any(each.vulns for each in packages):
        return VULNERABLE, known
    if skipped or not packages:
        return UNPROVEN, known or [f"{lock}: NOT AUDITED, it names no package"]
    return 0, [f"{lock}: nothing is known against its {len(packages)} packages"]


def main() -> int:
    """Audit each lock. Returns the worst exit code: what is vulnerable before what is unproven."""
    parser = argparse.ArgumentParser(
        prog="python -m deploy.supply.audit", description="Ask what is known of the locks."
    )
    parser.add_argument("locks", nargs="*", type=Path, default=[ROOT / lock for lock in LOCKS])
    parser.add_argument("--service", choices=("pypi", "osv"), default="pypi", help="Whom pip-audit asks.")
    parser.add_argument("--program", type=Path, default=PROGRAM, help="pip-audit.")
    options = parser.parse_args()
    codes = set()
    for lock in options.locks:
        code, lines = audit(lock, options.program, options.service)
        print("\n".join(lines))
        codes.add(code)
    return VULNERABLE if VULNERABLE in codes else max(codes)


if __name__ == "__main__":
    sys.exit(main())
