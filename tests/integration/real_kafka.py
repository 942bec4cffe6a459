"""Whether tests run against real Apache Kafka: where Java and Maven are, unless PENSTOCK_TEST_KAFKA says otherwise."""

import os
import shutil
from typing import Final

_CHOICE = os.environ.get("PENSTOCK_TEST_KAFKA", "")
if _CHOICE not in ("", "real", "mock"):
    raise ValueError(f"PENSTOCK_TEST_KAFKA is `real`, `mock` or not set, not {_CHOICE!r}")

REAL: Final = _CHOICE == "real" or (not _CHOICE and all(shutil.which(name) for name in ("java", "mvn")))
WHY_NOT: Final = "PENSTOCK_TEST_KAFKA is `mock`" if _CHOICE else "java or mvn is not installed"
"""Said where it is not."""
