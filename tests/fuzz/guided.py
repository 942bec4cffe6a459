"""One harness under libFuzzer, guided by which lines of the service run: `python -m tests.fuzz.guided NAME OPTIONS...`

OPTIONS are libFuzzer's. Native libraries are not looked into: there, only what they answer guides the search.
"""

import sys

import atheris

from tests.fuzz.targets import target


def main() -> None:
    """Search until an option ends it, or something is found."""
    name, options = sys.argv[1], sys.argv[2:]
    with atheris.instrument_imports(include=["service", "yaml", "jwt"]):
        run = target(name)
    run(b"")
    atheris.Setup([sys.argv[0], *options], run, enable_python_coverage=True)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
