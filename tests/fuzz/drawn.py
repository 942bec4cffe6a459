"""One harness with what Hypothesis draws, where there is no libFuzzer: the corpus, changed here and there, and rubbish.

`python -m tests.fuzz.drawn NAME SECONDS FOLDER`; what is found is written into FOLDER, as small as it could be made.
"""

import sys
from hashlib import sha1
from pathlib import Path
from time import monotonic

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzz.targets import MOST_BYTES, corpus, target

_ROUND = 500


@st.composite
def changed(draw: st.DrawFn, whole: list[bytes]) -> bytes:
    """One of `whole` with other bytes in some places, or with a part of another one."""
    found = draw(st.sampled_from(whole))
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(found)))
        end = draw(st.integers(start, min(len(found), start + 8)))
        other = draw(st.sampled_from(whole))
        cut = draw(st.integers(0, len(other)))
        found = found[:start] + draw(st.binary(max_size=6) | st.just(other[cut : cut + 20])) + found[end:]
    return found[:MOST_BYTES]


def main() -> int:
    """Search for some seconds. Prints how often the harness was run; 1 if there is a finding."""
    name, seconds, folder = sys.argv[1], float(sys.argv[2]), Path(sys.argv[3])
    run = target(name)
    end, count, last = monotonic() + seconds, 0, b""

    @settings(max_examples=_ROUND, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(changed([path.read_bytes() for path in corpus(name)]) | st.binary(max_size=200))
    def search(data: bytes) -> None:
        nonlocal count, last
        count, last = count + 1, data
        run(data)

    try:
        while monotonic() < end:
            search()
    except Exception:
        (folder / f"crash-{sha1(last, usedforsecurity=False).hexdigest()}").write_bytes(last)
        raise
    finally:
        print(f"Done {count} runs", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
