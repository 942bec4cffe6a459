"""Requests made after the pattern of one that the SDK made: the same but for body, time and signature.

The signature is AWS Signature Version 4 (AWS General Reference, "Create a signed AWS API request"). What is signed is
read from the SDK's own, and a pattern is taken only if it gives the same signature for the same request.
"""

import hmac
import time
from collections.abc import Mapping
from hashlib import sha256
from typing import Any, Self
from urllib.parse import quote, urlsplit

from service.aws.connections import Endpoint
from service.event import uuid7

_ALGORITHM = "AWS4-HMAC-SHA256"
_OF_EACH_CALL = frozenset({"authorization", "x-amz-date", "amz-sdk-invocation-id", "content-length", "accept-encoding"})
_PORTS = {"http": 80, "https": 443}


class Pattern:
    """The pattern of requests to one target with one set of credentials."""

    def __init__(self, url: str, headers: Mapping[str, str], credentials: Any) -> None:
        """`headers`: of a request that the SDK has signed. Raises ValueError, or KeyError, if they are of another kind.

        `credentials`: frozen ones, as of botocore.
        """
        parts = urlsplit(url)
        if parts.query or parts.username is not None or parts.scheme not in _PORTS or parts.hostname is None:
            raise ValueError("a URL with more than scheme, host and path")
        if not url.isascii() or not url.isprintable() or " " in url:
            raise ValueError("a URL that is not encoded")
        named = {name.lower(): value for name, value in headers.items()}
        if any(character in value for value in named.values() for character in "\r\n\0"):
            raise ValueError("a header with a line break")
        self.credentials = credentials
        port = parts.port or _PORTS[parts.scheme]
        self.endpoint = Endpoint(url, parts.hostname, port, parts.scheme == "https")
        bare = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
        host = bare if port == _PORTS[parts.scheme] else f"{bare}:{port}"
        path = parts.path or "/"
        self._fixed = f"POST {path} HTTP/1.1\r\nHost: {host}\r\nAccept-Encoding: identity\r\n" + "".join(
            [f"{name}: {value}\r\n" for name, value in headers.items() if name.lower() not in _OF_EACH_CALL]
        )
        self.stamp = named["x-amz-date"]
        algorithm, credential, signed, _ = named["authorization"].replace(",", "").split()
        _, _, self.region, self.service, _ = credential.removeprefix("Credential=").rsplit("/", 4)
        if algorithm != _ALGORITHM:
            raise ValueError("another algorithm")
        self._names = signed.removeprefix("SignedHeaders=")
        values = named | {"host": host}
        names = self._names.split(";")
        lines = [f"{name}:{' '.join(values[name].split())}\n" for name in names]
        dated = names.index("x-amz-date")
        self._before = f"POST\n{quote(path, safe='/~')}\n\n{''.join(lines[:dated])}x-amz-date:"
        self._after = f"\n{''.join(lines[dated + 1 :])}\n{self._names}\n"
        self._second = -1
        self._day = ""
        self._key = b""

    @classmethod
    def of(cls, request: Any, credentials: Any) -> Self | None:
        """The pattern of `request`, a prepared one; None if the SDK signs it otherwise than it is done here."""
        headers = {
            str(name): value.decode() if isinstance(value, bytes) else str(value)
            for name, value in request.headers.items()
        }
        try:
            pattern = cls(request.url, headers, credentials)
            signed = pattern.authorization(request.body, pattern.stamp)
        except (KeyError, ValueError):
            return None
        return pattern if request.method == "POST" and signed == headers["Authorization"] else None

    def head(self, body: bytes) -> bytes:
        """The head of a request with `body`, signed now."""
        second = int(time.time())
        if second != self._second:
            self._second = second
            self.stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(second))
        return (
            f"{self._fixed}X-Amz-Date: {self.stamp}\r\nAuthorization: {self.authorization(body, self.stamp)}\r\n"
            f"amz-sdk-invocation-id: {uuid7()}\r\nContent-Length: {len(body)}\r\n\r\n"
        ).encode()

    def authorization(self, body: bytes, stamp: str) -> str:
        """The header Authorization of a request with `body` at `stamp` (as X-Amz-Date)."""
        day = stamp[:8]
        if day != self._day:
            self._key = self._key_of(day)
            self._day = day
        scope = f"{day}/{self.region}/{self.service}/aws4_request"
        canonical = f"{self._before}{stamp}{self._after}{sha256(body).hexdigest()}"
        text = f"{_ALGORITHM}\n{stamp}\n{scope}\n{sha256(canonical.encode()).hexdigest()}"
        signature = hmac.digest(self._key, text.encode(), "sha256").hex()
        return (
            f"{_ALGORITHM} Credential={self.credentials.access_key}/{scope}, "
            f"SignedHeaders={self._names}, Signature={signature}"
        )

    def _key_of(self, day: str) -> bytes:
        key: bytes = b"AWS4" + self.credentials.secret_key.encode()
        for part in (day, self.region, self.service, "aws4_request"):
            key = hmac.digest(key, part.encode(), "sha256")
        return key
