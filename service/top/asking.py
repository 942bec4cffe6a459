"""Asks a service's admin port for `/status`."""

import json
from http.client import HTTPException
from ssl import SSLContext
from typing import Any, Final
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, HTTPSHandler, ProxyHandler, Request, build_opener

from service.units import is_loopback

TIMEOUT_SECONDS: Final = 5.0
MOST_BYTES: Final = 16 * 2**20


class Unreachable(Exception):
    """No status came. The message says why, and what to try."""


class _NoRedirect(HTTPRedirectHandler):
    """A redirect would carry the token elsewhere."""

    def redirect_request(self, *_: object) -> None:
        return None


def status(url: str, token: str | None, trust: SSLContext | None = None) -> dict[str, Any]:
    """What `/status` says. `trust`: for https://, else the system's. Raises Unreachable."""
    host = _host(url)
    if host is None:
        raise Unreachable("the address must begin with http:// or https://")
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    # no proxy leads to this very machine
    proxies = [ProxyHandler({})] if is_loopback(host) else []
    try:
        request = Request(f"{url.rstrip('/')}/status", headers=headers)  # noqa: S310 - the scheme is checked above
        with build_opener(_NoRedirect, HTTPSHandler(context=trust), *proxies).open(
            request, timeout=TIMEOUT_SECONDS
        ) as answer:
            text = answer.read(MOST_BYTES)
    except HTTPError as error:
        with error:
            raise Unreachable(_refused(error.code)) from None
    except URLError as error:
        raise Unreachable(f"no answer: {error.reason}") from None
    except OSError as error:
        raise Unreachable(f"no answer: {error}") from None
    except (HTTPException, ValueError) as error:
        # an address or a token that cannot stand in a request: the message may quote the token
        raise Unreachable(f"what was sent or answered is not HTTP ({type(error).__name__})") from None
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict) or "lanes" not in found or "troubles" not in found:
        raise Unreachable("what answers there is no admin port of Penstock")
    return found


def _host(url: str) -> str | None:
    """None if it is no address of HTTP."""
    try:
        address = urlsplit(url)
    except ValueError:
        return None
    return address.hostname if address.scheme in ("http", "https") else None


def _refused(code: int) -> str:
    match code:
        case 401:
            return "it wants its token: give --token, or better PENSTOCK_ADMIN_TOKEN"
        case 404:
            return "there is no /status: is that the admin port (9464), not the server's?"
        case _:
            return f"it answers {code}"
