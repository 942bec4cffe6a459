"""A minimal client of the HTTP source, for `penstock send`."""

from http.client import HTTPException
from ssl import SSLContext
from urllib.error import HTTPError, URLError
from urllib.parse import quote, urlsplit
from urllib.request import HTTPRedirectHandler, HTTPSHandler, Request, build_opener

TIMEOUT_SECONDS = 60


class _NoRedirect(HTTPRedirectHandler):
    """A gateway answers itself; a redirect would carry the key elsewhere."""

    def redirect_request(self, *_: object) -> None:
        return None


def post(
    url: str, route: str, body: bytes, content_type: str, key: str | None, trust: SSLContext | None = None
) -> tuple[int, str, str | None]:
    """Send `body` to a route. Returns status, the answer's text and Retry-After.

    `trust`: for https://, else the system's.

    Raises OSError, with a message that says why, when there is no answer.
    """
    if urlsplit(url).scheme not in ("http", "https"):
        raise OSError("the address must begin with http:// or https://")
    headers = {"Content-Type": content_type}
    if key:
        headers["Authorization"] = f"Bearer {key}"
    request = Request(f"{url.rstrip('/')}/v1/{quote(route, safe='')}", body, headers, method="POST")  # noqa: S310 - checked above
    try:
        with build_opener(_NoRedirect, HTTPSHandler(context=trust)).open(request, timeout=TIMEOUT_SECONDS) as answer:
            return answer.status, answer.read().decode("utf-8", "replace"), answer.headers.get("Retry-After")
    except HTTPError as answer:
        with answer:
            return answer.code, answer.read().decode("utf-8", "replace"), answer.headers.get("Retry-After")
    except URLError as error:
        raise OSError(str(error.reason)) from error
    except (HTTPException, ValueError) as error:
        # not HTTP, or an address or key that cannot stand in a request; the message of neither is shown: it may
        # quote the key
        raise OSError(f"what was sent or answered is not HTTP ({type(error).__name__})") from None
