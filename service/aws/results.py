"""Answers with one result per record, in the order of the request: PutRecords and PutRecordBatch."""

from collections.abc import Mapping, Sequence
from typing import Any

from service.aws.codes import reason_of
from service.outcome import DELIVERED, Outcome, Reason, Retry


def by_index(answer: Mapping[str, Any], *, results: str, failed: str, receipt: str, sent: int) -> list[Outcome]:
    """One outcome for each of the `sent` records.

    `results`, `failed` and `receipt` are the names of the list, of the count of failures and of what proves one
    record's delivery. An answer that contradicts itself or the request delivers nothing.
    """
    found: Sequence[Mapping[str, Any]] = answer.get(results) or []
    if len(found) != sent:
        return [Retry(Reason.BAD_ANSWER, detail=f"{len(found)} results for {sent} records")] * sent
    outcomes = [_outcome(result, receipt) for result in found]
    failures = sum(outcome is not DELIVERED for outcome in outcomes)
    if answer.get(failed, failures) != failures:
        detail = f"{failures} results say that they failed, {failed} says {answer[failed]}"
        return [Retry(Reason.BAD_ANSWER, detail=detail)] * sent
    return outcomes


def _outcome(result: Mapping[str, Any], receipt: str) -> Outcome:
    if code := result.get("ErrorCode"):
        # the service's message beside it may name accounts, and adds nothing to its code
        return Retry(reason_of(code, 200), detail=code)
    proof = result.get(receipt)
    return (
        DELIVERED
        if proof and isinstance(proof, str)
        else Retry(Reason.BAD_ANSWER, detail=f"a result without {receipt}")
    )
