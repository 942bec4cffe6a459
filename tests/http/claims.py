"""What every answer of a kind claims: asserted in one place for all tests of the HTTP surface."""

import re

from tests.http.client import Answer


def assert_problem(answer: Answer, status: int, code: str) -> None:
    """A problem document (RFC 9457) with the members that every one of ours has."""
    assert (answer.status, answer.headers["content-type"]) == (status, "application/problem+json")
    content = answer.json
    assert content["status"] == status
    assert content["code"] == code
    assert content["type"] == f"urn:penstock:error:{code}"
    assert content["title"]
    assert content["detail"]
    assert content["retryable"] is (status in (408, 429, 503))
    assert content["request_id"] == answer.headers["x-request-id"]


def assert_retry_after(answer: Answer) -> None:
    """Retry-After is 1*DIGIT (RFC 9110 section 10.2.3), and not now."""
    assert re.fullmatch(r"[1-9][0-9]*", answer.headers["retry-after"])


def assert_no_http(answer: Answer) -> None:
    """A problem document that says so, on a connection that ends."""
    assert (answer.status, answer.code) == (400, "malformed_header")
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["connection"] == "close"
