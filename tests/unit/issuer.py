"""An issuer of tokens: its keys, its JWKS over HTTP on loopback, and tokens of every kind, sound and not."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from time import time
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

RSA_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
OTHER_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
EC_KEY = ec.generate_private_key(ec.SECP256R1())


def public(key: Any, kid: str, **more: str) -> dict[str, Any]:
    """The entry of a JWKS."""
    kind = ECAlgorithm if isinstance(key, ec.EllipticCurvePrivateKey) else RSAAlgorithm
    return {**kind.to_jwk(key.public_key(), as_dict=True), "kid": kid, "use": "sig", **more}


class Issuer:
    """One, and what it serves."""

    def __init__(self) -> None:
        self.url = ""
        self.keys = [public(RSA_KEY, "one"), public(EC_KEY, "curve")]
        self.asked = 0
        self.answer: bytes | None = None
        """Served instead of its documents: a whole response."""
        self.gate = asyncio.Event()
        """Closed, nothing is answered."""
        self.gate.set()

    def claims(self, **more: Any) -> dict[str, Any]:
        """Those of a sound token; None leaves one out."""
        found = {"iss": self.url, "aud": "penstock", "sub": "shop", "exp": int(time()) + 600, **more}
        return {name: value for name, value in found.items() if value is not None}

    def token(self, key: Any = RSA_KEY, algorithm: str = "RS256", kid: str | None = "one", **more: Any) -> str:
        """A token of it."""
        headers = {} if kid is None else {"kid": kid}
        return jwt.encode(self.claims(**more), key, algorithm, headers)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One request."""
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            self.asked += 1
            await self.gate.wait()
            writer.write(self.answer if self.answer is not None else self._response(head.split()[1].decode()))
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    def _response(self, path: str) -> bytes:
        documents: Mapping[str, Any] = {
            "/.well-known/openid-configuration": {"issuer": self.url, "jwks_uri": f"{self.url}/jwks"},
            "/jwks": {"keys": self.keys},
        }
        return response(json.dumps(documents[path]).encode())


def response(body: bytes, status: str = "200 OK", more: str = "") -> bytes:
    """A whole response."""
    return f"HTTP/1.1 {status}\r\nConnection: close\r\n{more}Content-Length: {len(body)}\r\n\r\n".encode() + body


@asynccontextmanager
async def issuing() -> AsyncIterator[Issuer]:
    """An issuer that serves."""
    issuer = Issuer()
    server = await asyncio.start_server(issuer.serve, "127.0.0.1", 0)
    issuer.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield issuer
    finally:
        issuer.gate.set()
        server.close()
        await server.wait_closed()
