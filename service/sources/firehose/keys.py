"""Access keys of Firehose streams. Only hashes are kept; a key is compared with all of them in constant time."""

import hashlib
import hmac
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final, Self

from pydantic import SecretStr

from service.errors import Code, ConfigError, Forbidden, Unauthenticated

LEAST_KEY: Final = 16
MOST_KEY: Final = 4096
"""Characters of a key; the most is Firehose's."""
_HEADER: Final = "x-amz-firehose-access-key"


class AccessKeys:
    """Tells whether a stream may send. Without keys anybody may."""

    def __init__(self, keys: Iterable[str]) -> None:
        self._hashes = [_hash(key.encode()) for key in keys]

    @classmethod
    def of(cls, keys: Iterable[SecretStr], file: Path | None, variable: str | None) -> Self:
        """The keys that stand in one of these places.

        Raises ConfigError if they cannot be read, or are none. It quotes nothing of what it read.
        """
        if variable is not None:
            place, text = f"environment variable {variable}", os.environ.get(variable, "")
        elif file is not None:
            place = str(file)
            try:
                text = file.read_text("utf-8")
            except (OSError, UnicodeDecodeError) as error:
                reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
                raise ConfigError([f"{place}: cannot be read: {reason}"]) from None
        else:
            return cls(key.get_secret_value() for key in keys)
        lines = [line.strip() for line in text.splitlines()]
        found = [line for line in lines if line and not line.startswith("#")]
        if not found:
            raise ConfigError([f"{place}: there is no access key; write one a line"])
        if not all(LEAST_KEY <= len(key) <= MOST_KEY for key in found):
            raise ConfigError([f"{place}: an access key has {LEAST_KEY} to {MOST_KEY} characters"])
        return cls(found)

    def demand(self, headers: Mapping[str, str]) -> None:
        """Raise Unauthenticated or Forbidden unless these headers (lower-cased names) have one of the keys."""
        if not self._hashes:
            return
        given = headers.get(_HEADER)
        if given is None:
            raise Unauthenticated(
                Code.UNAUTHENTICATED, "X-Amz-Firehose-Access-Key is missing: give the stream the endpoint's access key"
            )
        digest = _hash(given.encode("latin-1"))
        known = False
        for each in self._hashes:
            known |= hmac.compare_digest(digest, each)
        if not known:
            raise Forbidden(
                Code.FORBIDDEN_ROUTE, "X-Amz-Firehose-Access-Key is none that this endpoint has; correct the stream's"
            )


def _hash(key: bytes) -> bytes:
    return hashlib.sha256(key).digest()
