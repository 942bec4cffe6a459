"""Who gives out tokens, on loopback: unsecured JSON web tokens (RFC 7519 §6), which the local broker takes."""

import base64
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

CLIENT, SECRET = "penstock", "client-secret"


def unsecured(seconds: float, algorithm: str = "none") -> str:
    """A token for `alice` that expires in so many seconds. With another algorithm no broker of ours takes it."""
    now = time.time()
    parts = {"alg": algorithm}, {"sub": "alice", "iat": now, "exp": now + seconds}
    return ".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in parts) + "."


@contextmanager
def oidc() -> Iterator[str]:
    """The URL of the token endpoint of an OIDC provider that knows one client (RFC 6749 §4.4)."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Provider) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/token"
        finally:
            server.shutdown()
            thread.join()


class _Provider(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        asked = self.rfile.read(int(self.headers["Content-Length"]))
        known = "Basic " + base64.b64encode(f"{CLIENT}:{SECRET}".encode()).decode()
        granted = self.headers["Authorization"] == known and b"grant_type=client_credentials" in asked
        answer = {"access_token": unsecured(60)} if granted else {"error": "invalid_client"}
        body = json.dumps(answer | {"token_type": "bearer", "expires_in": 60}).encode()
        self.send_response(200 if granted else 401)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing: requests are no news."""
