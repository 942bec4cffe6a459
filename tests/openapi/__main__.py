"""`make fuzz-api`: schemathesis over openapi.yaml against a service of its own, with any of schemathesis' options."""

import sys

from tests.openapi.fuzzing import fuzzed


def main() -> int:
    """Schemathesis' exit code: 0 if all it was answered is described, and no 5xx."""
    status, said = fuzzed(*(sys.argv[1:] or ["--max-examples", "500"]))
    sys.stdout.write(said)
    return status


if __name__ == "__main__":
    sys.exit(main())
