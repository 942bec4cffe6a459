"""The error codes of Kinesis, Firehose and SQS, of a call and of a single record, and the reason each one stands for.

Sources: the service models of botocore; "Common errors" of each API reference; the legacy codes of the SQS
query protocol, which its JSON protocol still answers (`awsQueryCompatible`).
"""

from service.outcome import Reason

_CODES = {
    Reason.THROTTLED: """
        ProvisionedThroughputExceededException KMSThrottlingException LimitExceededException
        RequestThrottled KmsThrottled OverLimit
        Throttling ThrottlingException ThrottledException RequestThrottledException TooManyRequestsException
        RequestLimitExceeded BandwidthLimitExceeded SlowDown PriorRequestNotComplete""",
    Reason.UNAVAILABLE: "ServiceUnavailable ServiceUnavailableException ExpiredNextTokenException",
    Reason.INTERNAL: """
        InternalFailure InternalFailureException InternalError InternalServerError InternalServiceError
        InternalServerException""",
    Reason.TIMEOUT: "RequestTimeout RequestTimeoutException",
    Reason.ACCESS_DENIED: "AccessDenied AccessDeniedException NotAuthorized OptInRequired",
    Reason.CREDENTIALS: """
        ExpiredToken ExpiredTokenException RequestExpired TokenRefreshRequired
        IncompleteSignature IncompleteSignatureException InvalidSignatureException SignatureDoesNotMatch
        InvalidClientTokenId InvalidAccessKeyId UnrecognizedClientException AuthFailure
        MissingAuthenticationToken MissingAuthenticationTokenException""",
    Reason.NOT_FOUND: "ResourceNotFoundException NonExistentQueue QueueDoesNotExist QueueDeletedRecently",
    Reason.ENCRYPTION: """
        KMSDisabledException KMSInvalidStateException KMSAccessDeniedException KMSNotFoundException
        KMSOptInRequired InvalidKMSResourceException
        KmsDisabled KmsInvalidState KmsAccessDenied KmsNotFound KmsOptInRequired KmsInvalidKeyUsage""",
    Reason.MISCONFIGURED: """
        InvalidArgumentException ValidationException ValidationError DryRunOperationException
        InvalidSourceException ResourceInUseException
        BatchEntryIdsNotDistinct BatchRequestTooLong EmptyBatchRequest InvalidBatchEntryId
        TooManyEntriesInBatchRequest UnsupportedOperation InvalidSecurity InvalidAddress InvalidAttributeName
        InvalidMessageContents
        InvalidAction InvalidParameterCombination InvalidParameterValue InvalidQueryParameter
        MalformedQueryString MissingAction MissingParameter
        UnknownOperationException SerializationException""",
}
"""`InvalidMessageContents` of a whole request says nothing of which message it means."""

_KMS = {
    "DisabledException": Reason.ENCRYPTION,
    "InvalidStateException": Reason.ENCRYPTION,
    "NotFoundException": Reason.ENCRYPTION,
    "OptInRequired": Reason.ENCRYPTION,
    "AccessDeniedException": Reason.ENCRYPTION,
    "InvalidKeyUsageException": Reason.ENCRYPTION,
    "ThrottlingException": Reason.THROTTLED,
}

_REASONS = {code: reason for reason, codes in _CODES.items() for code in codes.split()}
_REASONS |= {f"KMS.{code}": reason for code, reason in _KMS.items()}

_STATUSES = {
    401: Reason.CREDENTIALS,
    403: Reason.ACCESS_DENIED,
    404: Reason.NOT_FOUND,
    408: Reason.TIMEOUT,
    429: Reason.THROTTLED,
    503: Reason.UNAVAILABLE,
}


def reason_of(code: str, status: int) -> Reason:
    """The reason that `code` stands for; of an unknown one, what the HTTP `status` says."""
    reason = _REASONS.get(code.removeprefix("AWS.SimpleQueueService.")) or _STATUSES.get(status)
    if reason is None:
        # a 5xx may have come after the write; a code of a single record comes with status 200
        reason = Reason.MISCONFIGURED if 400 <= status < 500 else Reason.INTERNAL
    return reason
