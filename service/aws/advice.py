"""What to do about a destination that cannot be used: a sentence for whoever reads a failed probe."""

from typing import assert_never

from service.outcome import Reason, Retry


def advice(retry: Retry, what: str, action: str, region: str) -> str:
    """A sentence: what is wrong with `what` ("stream 'orders'"), where, and what to try. `action` is the IAM action."""
    match retry.reason:
        case Reason.NOT_FOUND:
            told = f"{what} does not exist in {region}: create it, or correct its name or `region`"
        case Reason.ACCESS_DENIED:
            told = f"{what} in {region} may not be used: allow {action} on it for this service's role"
        case Reason.CREDENTIALS:
            told = (
                f"{what} in {region} needs valid AWS credentials: give the task, pod or instance a role, or set "
                "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY; with `role_arn`, let its trust policy admit this service"
            )
        case Reason.UNREACHABLE | Reason.TIMEOUT | Reason.CONNECTION_LOST:
            told = f"{what} in {region} cannot be reached: check the network, `region` and `endpoint_url`"
        case Reason.ENCRYPTION:
            told = f"the KMS key of {what} in {region} refuses: enable it, and allow its use to this service's role"
        case Reason.THROTTLED | Reason.UNAVAILABLE | Reason.INTERNAL:
            told = f"{what} in {region} could not be asked with {action} just now: try again"
        case (
            Reason.MISCONFIGURED
            | Reason.BAD_ANSWER
            | Reason.SINK_ERROR
            | Reason.NO_ROOM
            | Reason.SHUTDOWN
            | Reason.TOO_LARGE
            | Reason.REFUSED_CONTENT
            | Reason.PATIENCE_OVER
            | Reason.LANE_FULL
            | Reason.TOO_OLD
            | Reason.ORPHANED
            | Reason.NOT_STORED
            | Reason.INVALID
            | Reason.RECEIVED_TOO_OFTEN
            | Reason.WORKER_LOST
        ):
            told = f"{what} in {region} refuses {action}: correct its settings or ours"
        case _:
            assert_never(retry.reason)
    return f"{told} ({retry.detail})" if retry.detail else told
