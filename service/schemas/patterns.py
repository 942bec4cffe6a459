"""How large a pattern is with its repetitions written out: a character of a text may be compared with all of it."""

import re
from typing import Final

_PART: Final = re.compile(r"\\.|\[(?:\\.|[^\]\\])*\]|\{(\d+)(,?)(\d*)\}|.", re.DOTALL)


def size(pattern: str) -> int:
    """Characters and classes in `pattern`, those within a counted repetition as often as they may come; at least 1.

    `(a{1,1000}){1,9}b` has 9001. Brackets that do not match are no matter: such a pattern does not compile.
    """
    sums, last = [0], 0
    for found in _PART.finditer(pattern):
        part = found[0]
        if found[1] is not None:
            times = max(int(found[3] or found[1]), 1)
            sums[-1] += last * (times - 1)
            last *= times
        elif part == "(":
            sums.append(0)
            last = 0
        elif part == ")" and len(sums) > 1:
            last = sums.pop()
            sums[-1] += last
        elif part not in "^$*+?|":
            last = 1
            sums[-1] += 1
    return max(sum(sums), 1)
